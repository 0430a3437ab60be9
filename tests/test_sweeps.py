"""Studies with axes, studies that are drawn over a picture, and measures in the log."""

import json
import math
import sqlite3

import pytest
from PIL import Image
from test_studies import PROMPTS, SMALL

from synth.errors import InputError
from synth.journal import MIGRATIONS, Journal
from synth.records.plans import Plan, make_plan
from synth.records.rows import COLUMNS, read_log
from synth.records.verification import verify
from synth.studies import Study, study


@pytest.fixture(scope="module")
def swept(tiny_sd, tmp_path_factory) -> Study:
    return sweep(tiny_sd, tmp_path_factory.mktemp("sweeps"), axes=["guidance_scale=1,4", "steps=2,3"], name="swept")


def sweep(tiny_sd, root, **changes) -> Study:
    arguments = {"prompts": PROMPTS, "seeds": 2, "settings": SMALL, "model": str(tiny_sd), "out": root}
    return study(**arguments | {"progress": False, "device": "cpu"} | changes)


def test_every_combination_is_a_picture(swept):
    frame = swept.frame()
    assert swept.counts == {"done": 16, "failed": 0, "left": 0}
    cells = frame.groupby(["guidance_scale", "steps", "prompt", "seed"]).size()
    assert len(cells) == 16 and set(cells) == {1}


def test_each_picture_has_its_place_on_the_axes(swept):
    places = swept.coordinates().merge(swept.frame(), on=["key", "prompt_index", "seed"], suffixes=("_label", ""))
    assert len(places) == 16
    assert (places["guidance_scale_label"].astype(float) == places["guidance_scale"]).all()
    assert (places["steps_label"].astype(int) == places["steps"]).all()
    assert [PROMPTS[index] for index in places["prompt_index"]] == list(places["prompt"])


def test_it_opens_again_and_renders_nothing_twice(swept, tiny_sd, monkeypatch):
    monkeypatch.setattr("synth.rendering.render", lambda *_, **__: pytest.fail("a picture was rendered"))
    opened = Study.open(swept.folder)
    assert opened.plan == swept.plan and opened.plan.key == swept.plan.key
    again = sweep(tiny_sd, swept.folder.parent, axes=["guidance_scale=1,4", "steps=2,3"], name="swept")
    assert again.counts["done"] == 16


def test_an_axis_of_sizes_models_and_parts_of_the_prompt(tiny_sd, tmp_path):
    axes = ["size=64x64,128x64", f"model={tiny_sd},{tiny_sd}/.", "prompt_part=house | barn"]
    with pytest.raises(InputError, match="some cells are the same picture"):
        sweep(tiny_sd, tmp_path, prompts=["a red house"], seeds=1, axes=axes)
    made = sweep(tiny_sd, tmp_path, prompts=["a red house"], seeds=1, axes=[axes[0], axes[2]])
    frame = made.frame().merge(made.coordinates(), on="key")
    assert sorted(frame["prompt"]) == ["a red barn", "a red barn", "a red house", "a red house"]
    for row in frame.itertuples():
        with Image.open(made.folder / row.path) as picture:
            assert f"{picture.width}x{picture.height}" == row.size


def test_a_part_that_no_prompt_has_is_one_clear_error(tiny_sd, tmp_path):
    with pytest.raises(InputError, match="prompt_part: 'zebra' cannot be used; .* 'a red house' does not"):
        sweep(tiny_sd, tmp_path, axes=["prompt_part=zebra | cat"])
    with pytest.raises(InputError, match="'zebra' cannot be used"):
        sweep(tiny_sd, tmp_path, prompts=None, phrase="a red house", axes=["prompt_part=zebra | cat"])
    assert not list(tmp_path.iterdir())  # told before GPT-2 wrote a prompt


def test_large_sweeps_say_how_many_and_how_long(tiny_sd, tmp_path):
    with pytest.raises(InputError, match=r"pictures: 40000 .* takes about .*agree with --yes"):
        sweep(tiny_sd, tmp_path, axes=["guidance_scale=0:9.999:0.001"])


def test_a_plan_without_axes_has_the_key_that_it_always_had():
    plan = make_plan(prompts=["a"], seeds=1)
    assert plan.key == make_plan(prompts=["a"], seeds=1, axes=()).key
    older = {name: value for name, value in plan.as_dict().items() if name not in ("axes", "source", "mask")}
    assert Plan.from_dict(json.loads(json.dumps(older))) == plan
    with_axes = make_plan(prompts=["a"], seeds=1, axes=["steps=2,3"])
    assert with_axes.key != plan.key
    assert Plan.from_dict(json.loads(json.dumps(with_axes.as_dict()))) == with_axes


def test_work_is_steps_times_pixels():
    plan = make_plan(prompts=["a", "b"], seeds=3, axes=["steps=10,20,30", "size=64x64,128x128"])
    assert plan.pictures == 36
    assert plan.work == 6 * (10 + 20 + 30) * (64 * 64 + 128 * 128)


def test_a_study_over_a_picture_keeps_it_and_can_be_verified(tiny_sd, tmp_path):
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "source.png")
    Image.radial_gradient("L").save(tmp_path / "mask.png")
    pictures = {"source": tmp_path / "source.png", "mask": tmp_path / "mask.png"}
    made = sweep(tiny_sd, tmp_path, seeds=1, axes=["strength=0.5,1"], name="over", **pictures)
    assert made.counts["done"] == 4
    frame = made.frame()
    assert frame["source"].nunique() == frame["mask"].nunique() == 1
    assert all(verify(made.folder / path).equal for path in frame["path"])
    for file in pictures.values():
        file.unlink()  # the study has its own
    (made.folder / frame["path"][0]).unlink()
    opened = Study.open(made.folder)
    opened._render({"device": "cpu"}, progress=False)
    assert opened.counts["done"] == 4


def test_measures_are_columns_with_what_measured_them(swept):
    values = {key: float(number) for number, key in enumerate(swept.frame()["key"])}
    values[next(iter(values))] = None
    swept.measure("sharpness", values, "variance of the Laplacian, synth 0.1")
    frame = swept.frame()
    assert set(frame["sharpness_model"]) == {"variance of the Laplacian, synth 0.1"}
    assert math.isnan(frame["sharpness"][0]) and list(frame["sharpness"][1:]) == list(range(1, 16))
    read = read_log(swept.folder / "log.csv")
    assert read["sharpness"].equals(frame["sharpness"]) and read["sharpness_model"].equals(frame["sharpness_model"])
    swept.measure("sharpness", dict.fromkeys(values, 1.0), "another")
    assert set(swept.frame()["sharpness"]) == {1.0}


def test_a_journal_of_the_first_version_gets_the_new_columns(swept, tmp_path):
    [row] = [row for row in Journal(swept.folder).rows()][:1]
    later = ("timestep_spacing", "respacing", "timesteps", "sigmas", "strength", "postprocess", "source", "mask",
             "guidance_interval", "precision")  # fmt: skip
    first = {name: value for name, value in row.items() if name not in later}
    with sqlite3.connect(tmp_path / "journal.sqlite") as database:
        database.execute(MIGRATIONS[0])
        marks = ", ".join("?" * len(first))
        database.execute(f"INSERT INTO pictures ({', '.join(first)}) VALUES ({marks})", list(first.values()))
        database.execute("PRAGMA user_version = 1")
    database.close()
    with Journal(tmp_path) as journal:
        assert journal.rows() == [row] and list(journal.rows()[0]) == list(COLUMNS)
        assert journal.measures() == []
