"""From a folder of anything to a prepared set: nothing crashes, nothing is lost silently, twice gives the same."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from made_up_pictures import flowers, imagefolder, picture, sidecar
from PIL import Image

from synth.errors import InputError, StudyError
from synth.train.data import preparation
from synth.train.data.preparation import prepare
from synth.train.data.prepared import PreparedSet
from synth.train.params import Data
from synth.train.rows import RowWriter


def made(source, out, **how) -> PreparedSet:
    return prepare(Data(**{"source": str(source), "size": 64, "smallest": 32} | how), out, progress=False)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def teachers_folder(folder: Path) -> dict[str, str]:
    """200 captioned pictures as a class brings them, and what is wrong with some; the reasons by name."""
    sidecar(folder, 200, lambda number: f"  drawing  {number}\n\na house by pupil {number % 7}\n")
    (folder / "010.jpg").write_bytes((folder / "010.jpg").read_bytes()[:700])
    (folder / "011.jpg").write_bytes(b"")
    (folder / "012.jpg").write_text("not a picture")
    (folder / "013.txt").write_text(" \n\t ")
    (folder / "014.txt").unlink()
    picture(15, (20, 500)).save(folder / "015.jpg")
    shutil.copy(folder / "030.jpg", folder / "copy of 030.jpg")
    (folder / "copy of 030.txt").write_text("the same house\na house by pupil 2")
    Image.new("1", (50_000, 40)).save(folder / "banner.png")
    (folder / "banner.txt").write_text("a very long banner")
    (folder / "photo.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (folder / "photo.txt").write_text("a photo of a telephone")
    (folder / "homework.docx").write_bytes(b"PK")
    return {
        "010.jpg": "damaged", "011.jpg": "unreadable", "012.jpg": "unreadable", "013.jpg": "no caption",
        "014.jpg": "no caption", "015.jpg": "too small", "copy of 030.jpg": "duplicate", "banner.png": "too large",
        "photo.HEIC": "unreadable",
    }  # fmt: skip


def test_a_teachers_folder_is_prepared_and_what_is_left_out_is_named(tmp_path):
    wrong = teachers_folder(tmp_path / "class")
    ready = made(tmp_path / "class", tmp_path / "out")
    assert {origin: reason.partition(":")[0] for origin, reason in ready.left_out} == wrong
    assert len(ready) == 200 - 6 and ready.pictures.shape == (194, 64, 64, 3) and ready.pictures.dtype == np.uint8
    by_name = {record.origin: record for record in ready.records}
    assert by_name["000.jpg"].captions == ("drawing 0", "a house by pupil 0")
    assert by_name["030.jpg"].captions == ("drawing 30", "a house by pupil 2", "the same house")
    assert (by_name["000.jpg"].width, by_name["000.jpg"].height) == (96, 80)
    training, validation = ready.indices("train"), ready.indices("validation")
    assert len(training) + len(validation) == 194 and 5 < len(validation) < 40
    assert sum(len(ready.captions(split)) for split in ("train", "validation")) == 194 * 2 + 1
    facts = json.loads((tmp_path / "out" / "facts.json").read_text())
    assert (facts["count"], facts["validation"], facts["left_out"]) == (194, len(validation), 9)


def test_pictures_and_records_are_in_one_order(tmp_path):
    ready = made(sidecar(tmp_path / "s", 40), tmp_path / "out")
    assert [record.origin for record in ready.records] == sorted(record.origin for record in ready.records)
    for record, pixels in zip(ready.records, ready.pictures, strict=True):
        with Image.open(tmp_path / "s" / record.origin) as image:
            assert np.abs(pixels[16, :, 1].astype(int).mean() - np.asarray(image)[20, :, 1].mean()) < 6


def test_the_same_source_gives_the_same_bytes(tmp_path, monkeypatch):
    sidecar(tmp_path / "s", 30)
    first = made(tmp_path / "s", tmp_path / "one")
    monkeypatch.setattr(preparation, "WORKERS", 1)
    monkeypatch.setattr(preparation, "AHEAD", 3)
    second = made(tmp_path / "s", tmp_path / "two")
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two") and first.digest == second.digest


def test_neither_names_nor_size_nor_crop_move_a_picture_to_the_other_split(tmp_path):
    sidecar(tmp_path / "s", 40)
    ready = made(tmp_path / "s", tmp_path / "out", validation=0.3)
    numbers = random.Random(0).sample(range(40), 40)
    for old, new in enumerate(numbers):
        for suffix in ("jpg", "txt"):
            (tmp_path / "s" / f"{old:03d}.{suffix}").rename(tmp_path / "s" / f"renamed-{new:03d}.{suffix}")
    other = made(tmp_path / "s", tmp_path / "other", validation=0.3, size=96, crop="pad")
    renamed = {record.origin: record.split for record in other.records}
    assert [renamed[f"renamed-{numbers[int(r.origin[:3])]:03d}.jpg"] for r in ready.records] == [
        r.split for r in ready.records
    ]


def test_a_finished_folder_is_returned_at_once_and_only_for_its_parameters(tmp_path):
    sidecar(tmp_path / "s", 4)
    first = made(tmp_path / "s", tmp_path / "out")
    shutil.rmtree(tmp_path / "s")
    assert made(tmp_path / "s", tmp_path / "out").digest == first.digest
    with pytest.raises(InputError, match=r"otherwise \(size was 64 and is 72, crop was 'centre' and is 'pad'\)"):
        made(tmp_path / "s", tmp_path / "out", size=72, crop="pad")


def test_files_that_changed_are_not_passed_over(tmp_path):
    sidecar(tmp_path / "s", 4)
    first = made(tmp_path / "s", tmp_path / "out")
    (tmp_path / "s" / "000.txt").write_text("another caption")
    with pytest.raises(InputError, match="files in .* have changed since; --data .*out takes it as it is"):
        made(tmp_path / "s", tmp_path / "out")
    how = Data(source=str(tmp_path / "s"), size=64, smallest=32)
    second = prepare(how, tmp_path / "out", progress=False, replace_other=True)
    assert second.digest != first.digest and "another caption" in {text for r in second.records for text in r.captions}
    assert prepare(how, tmp_path / "out", progress=False, replace_other=True).digest == second.digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "s"], "nothing is left beside it"


def test_what_cannot_be_prepared_leaves_what_was_there(tmp_path):
    sidecar(tmp_path / "s", 4)
    first = made(tmp_path / "s", tmp_path / "out")
    for file in (tmp_path / "s").glob("*.jpg"):
        file.write_bytes(b"")
    with pytest.raises(InputError, match="left out: 4 unreadable"):
        prepare(Data(source=str(tmp_path / "s"), size=64), tmp_path / "out", progress=False, replace_other=True)
    assert PreparedSet.open(tmp_path / "out").digest == first.digest


def test_a_killed_preparation_is_done_again_to_the_same_bytes(tmp_path):
    """kill -9 a real process at random moments; what is there then is no set, and the next run makes it whole."""
    sidecar(tmp_path / "s", 400)
    made(tmp_path / "s", tmp_path / "whole")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_preparation import made\nprint('go', flush=True)\n"
        "made(sys.argv[2], sys.argv[3])"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path / "s"), str(tmp_path / "killed")]
    for pause in (0.05, 0.2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        process.stdout.readline()
        deadline = time.monotonic() + 30
        while not (tmp_path / "killed").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if not (tmp_path / "killed" / "facts.json").exists():
            with pytest.raises(InputError, match="has finished"):
                PreparedSet.open(tmp_path / "killed")
    made(tmp_path / "s", tmp_path / "killed")
    assert snapshot(tmp_path / "killed") == snapshot(tmp_path / "whole")


def test_a_full_disk_is_one_error_and_leaves_no_set(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(RowWriter, "append", full)
    with pytest.raises(StudyError, match="No space left on device.*free some space"):
        made(sidecar(tmp_path / "s", 4), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir()), "what was half written would keep the disk full"


def test_a_disk_that_is_too_small_is_known_before(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(InputError, match=r"out: .*4 pictures need 0\.0 GB, and its disk has 0\.0 GB left"):
        made(sidecar(tmp_path / "s", 4), tmp_path / "deep" / "out")
    assert not (tmp_path / "deep").exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    folder = sidecar(tmp_path / "s", 4)
    for wrong, message in ((folder, "this one has other files"), (folder / "000.txt", "this is a file")):
        with pytest.raises(InputError, match=message):
            made(folder, wrong)
    (tmp_path / "empty").mkdir()
    assert len(made(folder, tmp_path / "empty")) == 4


def test_a_folder_without_captions_says_what_is_understood(tmp_path):
    folder = sidecar(tmp_path / "s", 3)
    for file in folder.glob("*.txt"):
        file.unlink()
    with pytest.raises(InputError, match=r"none of its 3 pictures has a caption: .*metadata\.jsonl.*\.txt .*jpg/"):
        made(folder, tmp_path / "out")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="give a folder with pictures in it"):
        made(tmp_path / "nothing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
def test_a_file_name_that_is_no_text_is_a_name_as_others(tmp_path):
    folder = sidecar(tmp_path / "s", 3)
    for suffix in (".jpg", ".txt"):
        (folder / f"001{suffix}").rename(folder / os.fsdecode(b"caf\xe9" + suffix.encode()))
    assert os.fsencode(made(folder, tmp_path / "out").records[-1].origin) == b"caf\xe9.jpg"


def test_one_picture_is_not_enough(tmp_path):
    for how in ({"source": sidecar(tmp_path / "one", 1)}, {"source": sidecar(tmp_path / "s", 5), "limit": 1}):
        with pytest.raises(InputError, match="at least two captioned pictures are needed, one to train on and one to"):
            made(out=tmp_path / "out", **how)
    assert not (tmp_path / "out").exists()


def test_where_all_but_one_are_unusable_the_reasons_are_told(tmp_path):
    sidecar(tmp_path / "s", 4)
    for number in (0, 1):
        (tmp_path / "s" / f"00{number}.jpg").write_bytes(b"broken")
    shutil.copy(tmp_path / "s" / "003.jpg", tmp_path / "s" / "002.jpg")
    with pytest.raises(InputError, match=r"at least two .*; left out: 2 unreadable, 1 duplicate \("):
        made(tmp_path / "s", tmp_path / "out")
    assert len((tmp_path / "out" / "left_out.jsonl").read_text().splitlines()) == 3
    picture(9).save(tmp_path / "s" / "000.jpg")
    assert len(made(tmp_path / "s", tmp_path / "out")) == 2, "the folder can be used when that is put right"


def test_of_two_pictures_one_is_for_validation(tmp_path):
    ready = made(sidecar(tmp_path / "s", 2), tmp_path / "out", validation=0.01)
    assert len(ready.indices("train")) == len(ready.indices("validation")) == 1


def test_metadata_columns_stay_even_where_their_names_are_taken(tmp_path):
    rows = [
        {"file_name": f"a{n}.png", "text": f"t{n}", "width": "wide", "split": "test", "by": "Ana"} for n in range(4)
    ]
    ready = made(imagefolder(tmp_path / "s", rows), tmp_path / "out")
    assert ready.records[0].width == 96
    assert ready.records[0].attributes == {"metadata_width": "wide", "metadata_split": "test", "by": "Ana"}


def test_flowers_are_prepared_with_ten_captions_each(tmp_path):
    folder = flowers(tmp_path / "f", [5, 6, 7, 8], text=tmp_path / "text_c10")
    ready = made(folder, tmp_path / "out", captions_from=str(tmp_path / "text_c10"))
    assert [len(record.captions) for record in ready.records] == [10] * 4
    assert (ready.records[0].width, ready.records[0].height) == (500, 667)


def test_the_picture_world_is_prepared_as_it_is_drawn(tmp_path):
    ready = made("vignettes", tmp_path / "out", limit=5, seed=3)
    assert [record.origin for record in ready.records] == [f"train/{number}" for number in range(3, 8)]
    assert set(ready.records[0].attributes) == {"subject", "colour", "place", "time", "weather", "style"}


def test_a_limit_is_kept(tmp_path):
    ready = made(sidecar(tmp_path / "s", 12), tmp_path / "out", limit=5)
    assert len(ready) == 5 and not ready.left_out
