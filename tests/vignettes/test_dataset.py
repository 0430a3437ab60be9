"""Sets of vignettes: the same whoever renders them, resumable, and readable by others."""

import json

import numpy as np
from PIL import Image

from synth.vignettes.captions import parse
from synth.vignettes.dataset import picture_seed, render_set, scene_at, write_image_folder
from synth.vignettes.world import draw


def test_a_set_holds_the_pictures_of_its_scenes(tmp_path):
    pictures = render_set(tmp_path, "held-out", 70)
    assert pictures.pictures.shape == (70, 128, 128, 3)
    assert all(scene.held_out for scene in pictures.scenes)
    for index in (0, 69):
        expected = draw(scene_at("held-out", index), picture_seed("held-out", index))
        assert np.array_equal(pictures.pictures[index], np.asarray(expected))


def test_an_interrupted_set_goes_on_where_it_was(tmp_path):
    whole = render_set(tmp_path, "train", 70)
    picture = np.array(whole.pictures[69])
    del whole
    array = np.load(tmp_path / "train-70.npy", mmap_mode="r+")
    array[:] = 7
    array.flush()
    (tmp_path / "train-70.done").write_text("0\n")
    again = render_set(tmp_path, "train", 70)
    assert (again.pictures[0] == 7).all(), "a finished chunk is not rendered again"
    assert np.array_equal(again.pictures[69], picture)


def test_the_image_folder_has_the_hugging_face_form(tmp_path):
    paths = list(write_image_folder(tmp_path, 5, size=64))
    lines = [json.loads(line) for line in (tmp_path / "metadata.jsonl").read_text().splitlines()]
    assert [line["file_name"] for line in lines] == [path.name for path in paths]
    for line in lines:
        assert Image.open(tmp_path / line["file_name"]).size == (64, 64)
        assert not parse(line["text"]).unknown
        assert line["subject"] in parse(line["text"]).values.get("subject", (line["subject"],))
