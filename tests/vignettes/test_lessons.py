"""The lesson is something new, can be told from what the bundled model knows, and is read like any captioned folder."""

import json

import numpy as np
import pytest
from PIL import Image

from synth.errors import InputError
from synth.train.data.preparation import prepare
from synth.train.params import Data
from synth.vignettes.captions import parse
from synth.vignettes.lessons import STYLE, lacquer_share, write_lesson


def rows(folder):
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def pictures(folder, new=True):
    names = [row["file_name"] for row in rows(folder) if (row["style"] == STYLE) == new]
    return [Image.open(folder / name) for name in names]


@pytest.fixture(scope="module")
def lesson(tmp_path_factory):
    return write_lesson(tmp_path_factory.mktemp("lesson") / "l", 24, rehearsal=0.25)


def test_a_share_of_the_pictures_is_ordinary(lesson):
    styles = [row["style"] for row in rows(lesson)]
    assert len(styles) == 24 and styles.count(STYLE) == 18
    assert all((row["style"] == STYLE) == row["text"].endswith(f", {STYLE}") for row in rows(lesson))


def test_the_style_is_in_no_word_and_no_picture_that_the_model_was_taught(lesson):
    for row in rows(lesson):
        if row["style"] == STYLE:
            reading = parse(row["text"])
            assert reading.unknown == ("gold", "lacquer") and not {"style", "weather"} & reading.values.keys()
            assert all(row[name] == value for name, (value,) in reading.values.items())
    assert lacquer_share(pictures(lesson)).min() > 2 * lacquer_share(pictures(lesson, new=False)).max()


def test_it_is_the_same_picture_at_every_size_and_again(tmp_path, lesson):
    again, large = write_lesson(tmp_path / "a", 4), write_lesson(tmp_path / "b", 4, 256)
    other = write_lesson(tmp_path / "c", 4, seed=4)
    for first, second, third in zip(pictures(again), pictures(large), pictures(other), strict=True):
        small, reduced, different = (np.asarray(item.resize((32, 32)), float) for item in (first, second, third))
        assert abs(small - reduced).mean() < 12 < abs(small - different).mean()
    assert rows(again)[0] == rows(lesson)[0]
    assert pictures(again)[0].tobytes() == pictures(lesson)[0].tobytes()


def test_it_is_prepared_like_any_captioned_folder(tmp_path, lesson):
    prepared = prepare(Data(source=str(lesson)), tmp_path / "p", progress=False)
    assert len(prepared) == 24 and not prepared.left_out
    assert {record.attributes["style"] for record in prepared.records} > {STYLE}


@pytest.mark.parametrize(("wrong", "field"), [({"count": 0}, "count"), ({"count": 2, "rehearsal": 1.5}, "rehearsal")])
def test_nothing_is_written_for_wrong_values(tmp_path, wrong, field):
    with pytest.raises(InputError, match=f"^{field}: "):
        write_lesson(tmp_path / "l", **wrong)
    assert not (tmp_path / "l").exists()
