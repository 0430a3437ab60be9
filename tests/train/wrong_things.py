"""A folder with everything that people get wrong, and a few things that are right."""

import shutil
import struct
import zlib
from pathlib import Path

from made_up_pictures import imagefolder, picture, sidecar
from PIL import Image
from scipy.io import savemat

from synth.train.checkpoints import checkpoints
from synth.train.data.preparation import prepare
from synth.train.params import Data, Evaluate, Params, Train
from synth.train.runs import train

QUICK = {"steps": 2, "batch_size": 4, "validate_every": 2, "checkpoint_every": 1, "precision": "fp32"}
SKETCH = Evaluate(pictures=2, steps=2, noises=1)
YAML = {
    "typo": "train: {step: 5}",
    "section": "trian: {steps: 5}",
    "type": "train: {steps: '5'}",
    "tag": "train: {base: !!timestamp x}",
    "list": "[a, b]",
    "number": "42",
    "broken": "train: [1, 2",
    "twice": "train: {steps: 5, steps: 6}",
    "deep": "[" * 3000,
    "nothing": "train:",
    "nan": "train: {learning_rate: .nan}",
    "betas": "train: {betas: [0.9]}",
    "large_betas": "train: {betas: [0.9, 1.0]}",
    "prolonged": "train: {prolonged: [-5]}",
    "alpha": "train: {lora_alpha: 8.0}",
    "snr": "train: {snr_gamma: 5.0}",
    "unknown_shape": "train: {scratch: true, shape: {layers: 1}}",
    "shape_alone": "train: {shape: {layers_per_block: 1}}",
    "wrong_shape": "train: {scratch: true, shape: {layers_per_block: abc}}",
    "odd_shape": "train: {scratch: true, shape: {block_out_channels: [30, 60]}}",
    "other_latents": "train: {scratch: true, shape: {in_channels: 3}}",
    "few_words": "train: {scratch: true, shape: {text_config: {vocab_size: 10}}}",
    "prices": "sagemaker: {prices: {ml.g5.xlarge: cheap}}",
    "role": "sagemaker: {bucket: mine}",
    "cloud": "sagemaker: {role: 'arn:aws:iam::123456789012:role/Train', bucket: mine, region: eu-west-1}",
    "clip": "evaluate: {clip: nobody/nothing-here}",
    "small": "data: {size: 64}",
    "metric": "track: {metric: beauty}",
}
TEXTS = {
    "prompts.txt": "\n".join(f"a cat {number}" for number in range(9)),
    "empty.txt": "\n\n",
    "one.txt": "a cat\na cat\n",
    "columns.csv": "id,body\n1,a\n2,b\n",
    "commas.csv": "id,prompt\n1,a cat, sitting\n2,a dog\n",
    "broken.parquet": "PAR",
    "letter.pdf": "x",
    "file": "x",
}


def write_wrong_things(here: Path, **models: Path) -> Path:
    """Fill a folder; `models` are linked there by their names, sd and gpt2 among them."""
    for name, text in (TEXTS | {f"{name}.yaml": text for name, text in YAML.items()}).items():
        (here / name).write_text(text)
    (here / "binary.yaml").write_bytes(bytes(range(256)))
    (here / "folder.yaml").mkdir()
    for name, folder in models.items():
        (here / name).symlink_to(folder)
    _write_pictures(here)
    _write_flowers(here)
    prepare(Data(source="vignettes", size=64, limit=24), here / "ready", progress=False)
    _write_runs(here)
    return here


def claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be a large picture."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", size), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _write_pictures(here: Path) -> None:
    for name in ("nothing", "uncaptioned", "single", "corrupt", "wide", "claiming"):
        (here / name).mkdir()
    sidecar(here / "good", 4)
    sidecar(here / "single", 1)
    for number in range(3):
        picture(number).save(here / "uncaptioned" / f"{number}.png")
        (here / "corrupt" / f"{number}.png").write_bytes(b"no picture")
        (here / "corrupt" / f"{number}.txt").write_text("a caption")
    Image.new("RGB", (50_000, 2)).save(here / "wide" / "wide.png")
    (here / "claiming" / "large.png").write_bytes(claims(50_000, 50_000))
    for folder, name in (("wide", "wide"), ("claiming", "large")):
        (here / folder / f"{name}.txt").write_text("a caption")
        picture(1).save(here / folder / "fine.png")
        (here / folder / "fine.txt").write_text("a caption")
    imagefolder(here / "missing", [{"file_name": f"{name}.png", "text": "a"} for name in ("a0", "a1", "b")])
    imagefolder(here / "outside", [{"file_name": "../a.png", "text": "a"}])
    for name, table in {
        "wordless": "file_name,words\na0.png,a\n",
        "nameless": "file,text\na0.png,a\n",
        "unquoted": "file_name,text\na0.png,a cat, sitting\n",
    }.items():
        imagefolder(here / name, [])
        (here / name / "metadata.jsonl").unlink()
        (here / name / "metadata.csv").write_text(table)


def _write_flowers(here: Path) -> None:
    for name in ("flowers", "flowers_cut"):
        (here / name / "jpg").mkdir(parents=True)
        picture(0).save(here / name / "jpg" / "image_00001.jpg")
    savemat(here / "flowers" / "imagelabels.mat", {"labels": [[1, 2]]})
    (here / "flowers_cut" / "imagelabels.mat").write_bytes(b"cut")


def _write_runs(here: Path) -> None:
    for kind, base, data in (("unet", "sd", "ready"), ("gpt2", "gpt2", "prompts.txt")):
        how = Params(train=Train(kind=kind, base=str(here / base), **QUICK), evaluate=SKETCH)
        train(how, here / data, here / f"{kind}_run")
    shutil.copytree(here / "unet_run", here / "unfinished")
    last = checkpoints(here / "unfinished" / "checkpoints")[-1]
    last.write_bytes(last.read_bytes()[:1000])
    shutil.copy(last, here / "cut.safetensors")
    (here / "unfinished" / "result.json").unlink()
    (here / "damaged").mkdir()
    (here / "damaged" / "run.json").write_text("{")
    (here / "other_shape" / "checkpoints").mkdir(parents=True)
    shutil.copy(checkpoints(here / "gpt2_run" / "checkpoints")[-1], here / "other_shape" / "checkpoints")
