"""Each layout that people have captioned pictures in is read, and each mistake in it is one clear error."""

import re
import sys
import warnings

import pytest
from made_up_pictures import flowers, imagefolder, picture, sidecar

from synth.errors import InputError
from synth.train.data.flowers import CLASSES
from synth.train.data.sources import detect, read_entries
from synth.train.params import Data
from synth.vignettes.captions import parse


def read(source, **how):
    return read_entries(Data(source=str(source), **how))


def captions(entries) -> dict[str, tuple[str, ...]]:
    return {entry.origin: entry.captions for entry in entries}


def test_text_files_beside_pictures_have_a_caption_on_each_line(tmp_path):
    folder = sidecar(tmp_path / "s", 3)
    (folder / "001.txt").write_text("\ufeffone\r\n\r\n  two \r\n", encoding="utf-8")
    (folder / "002.txt").unlink()
    (folder / "notes.txt").write_text("beside no picture")
    (folder / "deep" / "er").mkdir(parents=True)
    picture(9).save(folder / "deep" / "er" / "B.JPEG")
    (folder / "deep" / "er" / "B.txt").write_text("deep")
    for shadow in (".hidden.jpg", "__MACOSX/x.jpg"):
        (folder / shadow).parent.mkdir(exist_ok=True)
        picture(8).save(folder / shadow)
    assert detect(str(folder)) == "sidecar"
    assert captions(read(folder)) == {
        "000.jpg": ("picture number 0",), "001.jpg": ("one", "  two "), "002.jpg": (), "deep/er/B.JPEG": ("deep",),
    }  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_captions_in_the_encodings_of_windows_are_read(tmp_path, encoding):
    folder = sidecar(tmp_path / "s", 1)
    (folder / "000.txt").write_bytes("ein schönes Café".encode(encoding))
    assert read(folder)[0].captions == ("ein schönes Café",)


def test_an_image_folder_with_json_lines(tmp_path):
    rows = [
        {"file_name": "a0.png", "text": "zero", "licence": "CC0", "score": 0.5, "tags": ["x", "é"]},
        {"file_name": "a1.png", "text": ["one", "eins"]},
        {"file_name": "a2.png", "text": None},
    ]
    folder = imagefolder(tmp_path / "s", rows)
    assert detect(str(folder)) == "imagefolder"
    entries = read(folder)
    assert captions(entries) == {"a0.png": ("zero",), "a1.png": ("one", "eins"), "a2.png": (), "a3.png": ()}
    assert entries[0].attributes == {"licence": "CC0", "score": "0.5", "tags": '["x", "é"]'}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_an_image_folder_with_a_table_as_spreadsheets_write_them(tmp_path, delimiter, encoding):
    folder = imagefolder(tmp_path / "s", [], name="metadata.csv")
    rows = [("file_name", "caption", "place"), ("a0.png", '"a ""red"" house\non two lines"', "Zürich"), ("a1.png",)]
    (folder / "metadata.csv").write_bytes("\r\n".join(map(delimiter.join, rows)).encode(encoding))
    entries = read(folder)
    assert entries[0].captions == ('a "red" house\non two lines',) and entries[0].attributes == {"place": "Zürich"}
    assert entries[1].captions == ()


def test_each_subfolder_may_have_metadata_of_its_own(tmp_path):
    for split in ("train", "test"):
        imagefolder(tmp_path / "s" / split, [{"file_name": "a1.png", "text": split}], pictures=2)
    assert captions(read(tmp_path / "s"))["test/a1.png"] == ("test",)


def test_several_rows_of_a_picture_are_several_captions(tmp_path):
    rows = [{"file_name": "a0.png", "text": text} for text in ("one", "two")]
    assert captions(read(imagefolder(tmp_path / "s", rows)))["a0.png"] == ("one", "two")


def test_the_column_of_captions_can_be_named(tmp_path):
    folder = imagefolder(tmp_path / "s", [{"file_name": "a0.png", "text": "t", "alt": "a"}])
    assert read(folder)[0].captions == ("t",)
    assert read(folder, caption="alt")[0].captions == ("a",)
    with pytest.raises(InputError, match="caption: 'altt' .* metadata.jsonl with the captions: text, alt"):
        read(folder, caption="altt")


def test_windows_paths_are_paths(tmp_path):
    imagefolder(tmp_path / "s" / "sub", [])
    (tmp_path / "s" / "sub" / "metadata.jsonl").rename(tmp_path / "s" / "metadata.jsonl")
    (tmp_path / "s" / "metadata.jsonl").write_text('{"file_name": "sub\\\\a0.png", "text": "t"}')
    assert captions(read(tmp_path / "s"))["sub/a0.png"] == ("t",)


@pytest.mark.parametrize(
    "name", ["../outside.png", "sub/../../outside.png", "/etc/passwd", "C:\\x.png", "..\\x.png", "\\\\host\\x.png"]
)
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    folder = imagefolder(tmp_path / "s", [{"file_name": "a0.png", "text": "t"}, {"file_name": name, "text": "t"}])
    picture(1).save(tmp_path / "outside.png")
    with pytest.raises(InputError, match=r"file_name: .*line 2 of .*metadata\.jsonl must name a picture inside"):
        read(folder)


def test_metadata_of_missing_pictures_says_how_many_and_the_first(tmp_path):
    rows = [{"file_name": f"a{number}.png", "text": "t"} for number in (1, 9, 8)]
    with pytest.raises(InputError, match=r"names 2 pictures that are not there, first 'a9\.png'"):
        read(imagefolder(tmp_path / "s", rows))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"file_name": "a0.png", "text": "t"}\n{"file_name": ', "put line 2 of metadata.jsonl right"),
        ("[" * 100_000, "put line 1 of metadata.jsonl right"),
        ('["a0.png", "t"]', "line 1 of metadata.jsonl must be an object"),
        ('{"text": "t"}', "give metadata.jsonl a column file_name (it has text)"),
        ('{"file_name": "a0.png", "text": "t"}\n{"text": "t"}', "line 2 of .* needs the name of a picture"),
        ('{"file_name": 7, "text": "t"}', "line 1 of .* needs the name of a picture"),
        ('{"file_name": "", "text": "t"}', "line 1 of .* needs the name of a picture"),
        ('{"file_name": "a0.png", "label": 3}', "name the column of metadata.jsonl with the captions: label"),
        ("", "give metadata.jsonl a column file_name (it has no columns)"),
    ],
)
def test_metadata_that_is_wrong_is_one_error(tmp_path, text, message):
    folder = imagefolder(tmp_path / "s", [])
    (folder / "metadata.jsonl").write_text(text)
    with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)")):
        read(folder)


def test_a_table_that_is_wrong_is_one_error(tmp_path):
    folder = imagefolder(tmp_path / "s", [], name="metadata.csv")
    (folder / "metadata.csv").write_text("file_name,text\na0.png," + "x" * 200_000)
    with pytest.raises(InputError, match="put line 2 of metadata.csv right"):
        read(folder)


def test_flowers_with_the_captions_of_reed_et_al(tmp_path):
    folder = flowers(tmp_path / "f", [77, 77, 1, 102], text=tmp_path / "text_c10")
    (tmp_path / "text_c10" / "class_00001" / "image_00003.txt").unlink()
    assert detect(str(folder)) == "flowers"
    entries = read(folder, captions_from=str(tmp_path / "text_c10"))
    assert [entry.origin for entry in entries] == [f"jpg/image_{number:05d}.jpg" for number in (1, 2, 3, 4)]
    assert len(entries[0].captions) == 10 and entries[1].captions[9] == "caption 9 of flower 2, it has petals"
    assert entries[2].captions == ("pink primrose",), "a picture without captions has its class's name"
    assert [entry.attributes["authors_split"] for entry in entries] == ["train", "validation", "test", "train"]
    assert entries[3].attributes["class"] == "blackberry lily"


def test_flowers_find_the_archive_in_their_folder_and_do_without_it(tmp_path):
    labels = list(range(1, 103))
    folder = flowers(tmp_path / "f", labels[:5], text=tmp_path / "f" / "text_c10")
    assert all(len(entry.captions) == 10 for entry in read(folder))
    bare = flowers(tmp_path / "g", [3, 74])
    (bare / "setid.mat").unlink()
    entries = read(bare)
    assert [entry.captions for entry in entries] == [("canterbury bells",), ("rose",)]
    assert entries[0].attributes == {"class": "canterbury bells"}


def test_the_class_names_are_those_of_the_authors_labels():
    assert len(CLASSES) == len(set(CLASSES)) == 102
    known = {
        1: "pink primrose",
        21: "fire lily",
        51: "petunia",
        54: "sunflower",
        73: "water lily",
        77: "passion flower",
    }
    assert {label: CLASSES[label - 1] for label in known} == known


def test_flowers_that_were_not_unpacked_whole_are_one_error(tmp_path):
    folder = flowers(tmp_path / "f", [1, 2, 3])
    (folder / "jpg" / "image_00002.jpg").unlink()
    with pytest.raises(InputError, match=r"imagelabels\.mat names 1 picture .*'jpg/image_00002\.jpg'"):
        read(folder)
    (folder / "imagelabels.mat").write_bytes(b"no such thing")
    with pytest.raises(InputError, match=r"download imagelabels\.mat again: its list 'labels' is unreadable"):
        read(folder)


@pytest.mark.parametrize("labels", [[0, 1], [103, 1]])
def test_labels_of_no_class_are_one_error(tmp_path, labels):
    with pytest.raises(InputError, match="download imagelabels.mat again: labels are from 1 to 102"):
        read(flowers(tmp_path / "f", labels))


def test_an_archive_that_is_not_there_or_empty_is_one_error(tmp_path):
    folder = flowers(tmp_path / "f", [1, 2])
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="captions_from"):
            read(folder, captions_from=str(wrong) if wrong != tmp_path else str(folder / "jpg"))
    with pytest.raises(InputError, match="captions_from: .* it belongs to flowers, not to sidecar"):
        read(sidecar(tmp_path / "s", 2), captions_from="x")


def test_the_picture_world_has_captions_that_say_what_it_shows():
    entries = read("vignettes", limit=6, seed=40, size=72)
    assert [entry.origin for entry in entries] == [f"train/{number}" for number in range(40, 46)]
    assert all(len(set(entry.captions)) > 1 for entry in entries)
    for entry in entries:
        for text in entry.captions:
            assert {name: value for name, (value,) in parse(text).values.items()}.items() <= entry.attributes.items()
    assert entries[0].open().size == (72, 72)


def test_a_source_that_is_nowhere_is_one_error(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK")
    for source, message in (
        ("no_such_folder", "give a folder that exists, a hub data set as owner/name, or vignettes"),
        ("./no/such", "give a folder that exists"),
        (str(tmp_path / "a.zip"), "give the folder that it is in, or unpack it"),
    ):
        with pytest.raises(InputError, match=message):
            read(source)
    with pytest.raises(InputError, match="imagefolder needs a metadata.jsonl"):
        read(tmp_path, layout="imagefolder")
    with pytest.raises(InputError, match="flowers needs a folder with jpg/ and imagelabels.mat"):
        read(tmp_path, layout="flowers")


def test_without_the_hub_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=re.escape('pip install "synth[data]"')):
        read("owner/name")


def test_a_data_set_of_the_hub(tmp_path):
    datasets = pytest.importorskip("datasets")
    kinds = {
        "id": datasets.Value("string"), "photo": datasets.Image(), "prompt": datasets.Value("string"),
        "kind": datasets.ClassLabel(names=["house", "tree"]), "stars": datasets.Value("int64"),
    }  # fmt: skip
    columns = {
        "id": ["p", "q", "r"], "photo": [picture(0), picture(1), None], "prompt": ["zero", "one", None],
        "kind": [1, 0, 1], "stars": [5, None, 3],
    }  # fmt: skip
    for split in ("train", "test"):
        rows = datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))
        rows.to_parquet(tmp_path / "hub" / f"{split}-00000-of-00001.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entries = read(tmp_path / "hub", layout="hub")
    assert [entry.origin for entry in entries] == ["train/0", "train/1", "train/2", "test/0", "test/1", "test/2"]
    assert entries[0].captions == ("zero",) and entries[2].captions == ()
    assert entries[0].attributes == {"id": "p", "kind": "tree", "stars": "5"}
    assert entries[1].attributes == {"id": "q", "kind": "house"}
    with entries[1].open() as opened:
        assert opened.size == (96, 80)
    with pytest.raises(ValueError, match="no picture"):
        entries[2].open()
    with pytest.raises(InputError, match="name the column of .* with the captions: id, prompt, kind, stars"):
        read(tmp_path / "hub", layout="hub", caption="text")


def test_a_data_set_without_pictures_or_out_of_reach_is_one_error(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": ["a"]}).to_parquet(tmp_path / "hub" / "train.parquet")
    with pytest.raises(InputError, match="a column of pictures; it has text"):
        read(tmp_path / "hub", layout="hub")
    with pytest.raises(InputError, match=r"give a folder, or a data set that the hub has \(Couldn't reach"):
        read("owner/no-such-data-set")
