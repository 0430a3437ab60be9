"""Oxford 102 Flowers as its authors publish it (Nilsback & Zisserman 2008), with the captions of Reed et al. (2016).

https://www.robots.ox.ac.uk/~vgg/data/flowers/102/ has jpg/image_00001.jpg ..., imagelabels.mat with a label from 1 to
102 for each, and setid.mat with the authors' split. "Learning deep representations of fine-grained visual descriptions"
(https://github.com/reedscott/cvpr2016) has text_c10/class_00001/image_00001.txt, ten captions in each.
"""

from pathlib import Path

from synth.errors import InputError
from synth.train.data.entries import Entry, file_entry, read_text
from synth.train.data.imagefolder import check_nothing_missing

SPLITS = {"trnid": "train", "valid": "validation", "tstid": "test"}

CLASSES = (
    "pink primrose", "hard-leaved pocket orchid", "canterbury bells", "sweet pea", "english marigold", "tiger lily",
    "moon orchid", "bird of paradise", "monkshood", "globe thistle", "snapdragon", "colt's foot", "king protea",
    "spear thistle", "yellow iris", "globe-flower", "purple coneflower", "peruvian lily", "balloon flower",
    "giant white arum lily", "fire lily", "pincushion flower", "fritillary", "red ginger", "grape hyacinth",
    "corn poppy", "prince of wales feathers", "stemless gentian", "artichoke", "sweet william", "carnation",
    "garden phlox", "love in the mist", "mexican aster", "alpine sea holly", "ruby-lipped cattleya", "cape flower",
    "great masterwort", "siam tulip", "lenten rose", "barbeton daisy", "daffodil", "sword lily", "poinsettia",
    "bolero deep blue", "wallflower", "marigold", "buttercup", "oxeye daisy", "common dandelion", "petunia",
    "wild pansy", "primula", "sunflower", "pelargonium", "bishop of llandaff", "gaura", "geranium", "orange dahlia",
    "pink-yellow dahlia", "cautleya spicata", "japanese anemone", "black-eyed susan", "silverbush",
    "californian poppy", "osteospermum", "spring crocus", "bearded iris", "windflower", "tree poppy", "gazania",
    "azalea", "water lily", "rose", "thorn apple", "morning glory", "passion flower", "lotus", "toad lily",
    "anthurium", "frangipani", "clematis", "hibiscus", "columbine", "desert-rose", "tree mallow", "magnolia",
    "cyclamen", "watercress", "canna lily", "hippeastrum", "bee balm", "ball moss", "foxglove", "bougainvillea",
    "camellia", "mallow", "mexican petunia", "bromelia", "blanket flower", "trumpet creeper", "blackberry lily",
)  # fmt: skip
"""What the authors' labels 1 to 102 stand for, in that order."""


def is_flowers(folder: Path) -> bool:
    """Whether a folder is laid out as the authors publish it."""
    return (folder / "jpg").is_dir() and (folder / "imagelabels.mat").is_file()


def read_flowers(folder: Path, captions_from: str) -> list[Entry]:
    """An entry for each labelled picture: its captions, or the name of its class where the archive has none.

    captions_from: the unpacked text archive; if empty, text_c10 in the folder, if that is there. Attributes are the
    class and, if there is a setid.mat, the authors' split; Synth's own split goes by content.
    InputError for labelled pictures that are not there.
    """
    if not is_flowers(folder):
        raise InputError("source", str(folder), "flowers needs a folder with jpg/ and imagelabels.mat")
    file = folder / "imagelabels.mat"
    labels = _numbers(file, "labels")
    if not all(1 <= label <= len(CLASSES) for label in labels):
        raise InputError("source", str(file), f"download {file.name} again: labels are from 1 to {len(CLASSES)}")
    paths = [folder / "jpg" / f"image_{number:05d}.jpg" for number in range(1, len(labels) + 1)]
    check_nothing_missing([f"jpg/{path.name}" for path in paths if not path.is_file()], "imagelabels.mat", folder)
    archive, splits = _archive(folder, captions_from), _splits(folder / "setid.mat")
    return [
        _entry(folder, path, CLASSES[label - 1], archive.get(path.stem), splits.get(number))
        for number, (path, label) in enumerate(zip(paths, labels, strict=True), start=1)
    ]


def _entry(folder: Path, path: Path, name: str, captions: Path | None, split: str | None) -> Entry:
    lines = tuple(line for line in read_text(captions).splitlines() if line.strip()) if captions else ()
    return file_entry(folder, path, lines or (name,), {"class": name} | ({"authors_split": split} if split else {}))


def _archive(folder: Path, captions_from: str) -> dict[str, Path]:
    """The caption files by the names of their pictures."""
    if captions_from and not Path(captions_from).is_dir():
        raise InputError("captions_from", captions_from, "give the folder with the captions, text_c10")
    found = {path.stem: path for path in Path(captions_from or folder / "text_c10").rglob("image_*.txt")}
    if captions_from and not found:
        raise InputError("captions_from", captions_from, "there is no class_00001/image_00001.txt or the like in it")
    return found


def _splits(file: Path) -> dict[int, str]:
    if not file.is_file():
        return {}
    return {number: name for key, name in SPLITS.items() for number in _numbers(file, key)}


def _numbers(file: Path, key: str) -> list[int]:
    from scipy.io import loadmat

    try:
        return [int(number) for number in loadmat(file, variable_names=[key])[key].ravel()]
    except Exception as error:  # scipy raises nearly anything on a broken file
        reason = "it has none" if isinstance(error, KeyError) else str(error).partition("\n")[0]
        remedy = f"download {file.name} again: its list {key!r} is unreadable ({reason})"
        raise InputError("source", str(file), remedy) from None
