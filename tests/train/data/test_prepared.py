"""What was written is read back, and what was changed since is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_pictures import sidecar

from synth.errors import InputError
from synth.train.data.preparation import prepare
from synth.train.data.prepared import OWN, PreparedSet, Record
from synth.train.params import Data
from synth.train.rows import writing_rows

texts = st.text(st.characters(exclude_categories=("Cs",)))


@pytest.fixture
def folder(tmp_path):
    sidecar(tmp_path / "s", 4, lambda number: f"line\u2028separated \u0085 number {number}")
    prepare(Data(source=str(tmp_path / "s"), size=64), tmp_path / "out", progress=False)
    return tmp_path / "out"


@given(st.builds(
    Record, origin=texts, digest=texts, split=texts, captions=st.lists(texts).map(tuple), width=st.integers(),
    height=st.integers(), attributes=st.dictionaries(texts.filter(lambda name: name not in OWN), texts),
))  # fmt: skip
def test_a_record_survives_json(record):
    assert Record.from_dict(json.loads(json.dumps(record.as_dict()))) == record


def test_a_set_is_read_as_it_was_written(folder):
    ready = PreparedSet.open(str(folder))
    assert ready.params.size == 64 and len(ready) == 4 and isinstance(ready.pictures, np.memmap)
    assert sorted([*ready.indices("train"), *ready.indices("validation")]) == [0, 1, 2, 3]
    assert {caption.split()[0] for caption in ready.captions("train")} - {"number"} <= {"line", "separated"}


@pytest.mark.parametrize("file", ["pictures.npy", "records.jsonl", "facts.json"])
def test_a_file_cut_short_is_named_as_damage(folder, file):
    (folder / file).write_bytes((folder / file).read_bytes()[:-200])
    with pytest.raises(InputError, match="delete it and prepare it again"):
        PreparedSet.open(folder)


@pytest.mark.parametrize("file", ["pictures.npy", "records.jsonl"])
def test_a_file_that_is_gone_is_damage(folder, file):
    (folder / file).unlink()
    with pytest.raises(InputError, match="delete it and prepare it again"):
        PreparedSet.open(folder)


def test_a_record_edited_by_hand_is_damage(folder):
    text = (folder / "records.jsonl").read_text()
    (folder / "records.jsonl").write_text(text.replace("validation", "train"))
    with pytest.raises(InputError, match="were changed"):
        PreparedSet.open(folder)


def test_another_folder_is_no_set(tmp_path):
    for wrong in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="data: .*give a folder that `synth train data prepare` has finished"):
            PreparedSet.open(wrong)


@pytest.mark.parametrize("count", [0, 1, 1234])
def test_a_written_array_is_a_npy_file(tmp_path, count):
    expected = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    with writing_rows(tmp_path / "a.npy") as pictures:
        for pixels in np.array_split(expected, 7):
            pictures.append(pixels)
    assert (np.load(tmp_path / "a.npy") == expected).all()
