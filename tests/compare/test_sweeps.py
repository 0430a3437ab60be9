"""Sweeps: what is laid out where, which mistakes are found before any model is loaded, and that pictures are right."""

import io
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from synth import plots
from synth.compare.grids import grids, write_grids
from synth.compare.sweeps import Layout, prepare, sweep
from synth.errors import InputError, SynthError
from synth.jobs import Settings
from synth.presets import PRESETS

GUIDANCE, STEPS = "guidance_scale=5,1,3", "steps=5,10"


def pixels(figure) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.array(Image.open(io.BytesIO(figure.png())).convert("RGB"))


def words(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize(("texts", "prompts", "expected"), [
    ({"x": GUIDANCE, "y": STEPS}, 1, Layout("guidance_scale", "steps", ("prompt", "seed"))),
    ({"x": STEPS, "y": GUIDANCE, "pages": "scheduler=ddim,euler"}, 1,
     Layout("steps", "guidance_scale", ("scheduler", "prompt", "seed"))),
    ({"y": STEPS}, 1, Layout("seed", "steps", ("prompt",))),
    ({"x": STEPS}, 1, Layout("steps", "seed", ("prompt",))),
    ({"x": STEPS}, 2, Layout("steps", "prompt", ("seed",))),
    ({"x": STEPS, "y": "seed"}, 2, Layout("steps", "seed", ("prompt",))),
    ({"pages": STEPS}, 2, Layout("seed", "prompt", ("steps",))),
    ({"x": "prompt", "y": "seed"}, 2, Layout("prompt", "seed", ())),
])  # fmt: skip
def test_what_is_left_out_finds_its_place(texts, prompts, expected):
    assert prepare(prompts=[f"prompt {number}" for number in range(prompts)], **texts).layout == expected


def test_x_and_y_exchanged_are_the_same_study():
    one, other = prepare("a house", x=GUIDANCE, y=STEPS), prepare("a house", x=STEPS, y=GUIDANCE)
    assert one.plan.key == other.plan.key and one.layout != other.layout


def test_seeds_and_prompts_can_be_written_as_axes():
    request = prepare(x="seed=3,7,11", y="prompt=a red house | a house, blue")
    assert request.plan.seeds == (3, 7, 11)
    assert request.plan.prompts == ("a red house", "a house, blue")
    assert prepare("a house", x="seed=2:8:3").plan.seeds == (2, 5, 8)


@pytest.mark.parametrize(("how", "message"), [
    ({}, "say what varies"),
    ({"x": "guidance=1,3"}, "did you mean 'guidance_scale'"),
    ({"x": "steps=10"}, "at least two values"),
    ({"x": "seed=3"}, "at least two values"),
    ({"y": "prompt=a red house"}, "at least two values"),
    ({"x": "steps=10,,20"}, "give a number between the commas"),
    ({"x": "negative_prompt=dark | "}, '"none" for an empty text'),
    ({"x": "scheduler="}, "give a value"),
    ({"x": "steps"}, "a name and its values"),
    ({"x": "steps=10,20", "y": "steps=5,6"}, "each axis once"),
    ({"x": "seed", "y": "seed"}, "each axis once"),
    ({"x": "seed=1,2", "seeds": 4}, "not both"),
    ({"x": "seed=1,b"}, "give numbers"),
    ({"x": "prompt_part=green | blue"}, "every prompt contains"),
    ({"x": "lora_weight=0,1"}, "give the LoRA too"),
    ({"x": "width=64,128", "y": "size=64x64,128x128"}, "some cells are the same picture"),
    ({"x": "steps=1:1000:1"}, "4,000 pictures and takes about"),
    ({"x": "guidance_scale=0.001:10:0.001"}, "40,000 pictures and takes about"),
    ({"x": "prompt", "pages": "seed"}, "say what lies along y"),
])  # fmt: skip
def test_mistakes_are_found_before_any_model_is_loaded(how, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "synth.rendering", None)
    monkeypatch.setitem(sys.modules, "synth.expansion", None)
    with pytest.raises(InputError, match=message):
        sweep("a red house", **how)


def test_a_request_says_how_many_pictures_are_left_and_how_long_they_take(make_sweep, tmp_path):
    how = {"x": GUIDANCE, "y": STEPS, "prompts": ["a red house"], "settings": Settings(width=64, height=64)}
    request = prepare(seeds=3, out=tmp_path, **how)
    assert request.left == request.plan.pictures == 18 and "a rough guess" in request.about
    make_sweep(tmp_path, failed=lambda job: job.seed == 2, seconds=lambda job: 20.0 * job.settings.steps, **how)
    request = prepare(seeds=3, out=tmp_path, **how)
    assert request.left == 6
    assert request.about == "about 15 minutes (as measured here before)"  # 6 pictures of 7.5 steps of 20 seconds


def test_the_frame_has_every_picture_in_the_order_of_the_axes(make_sweep, tmp_path):
    made = make_sweep(tmp_path, x=GUIDANCE, y=STEPS, failed=lambda job: job.settings.guidance_scale == 3)
    frame = made.frame
    assert list(dict.fromkeys(frame["guidance_scale"])) == [5.0, 1.0, 3.0]
    assert (frame["status"] == "failed").sum() == 12 and len(frame) == 36
    assert list(frame["key"]) == [job.key for job in made.study.jobs]
    for row, job in zip(frame.to_dict("records"), made.study.jobs, strict=True):
        assert (row["guidance_scale"], row["steps"], row["seed"]) == (
            job.settings.guidance_scale, job.settings.steps, job.seed,
        )  # fmt: skip
    assert made.varied == ["guidance_scale", "steps", "prompt"]


def test_a_sweep_that_was_not_rendered_is_blank(make_sweep, tmp_path):
    made = make_sweep(tmp_path, x=GUIDANCE, y=STEPS, empty=True)
    assert set(made.frame["status"]) == {"left"}
    page = next(grids(made))
    assert not page.axes[0].patches and "steps" in words(page)


def test_each_picture_stands_in_its_cell_and_failures_are_marked(make_sweep, tmp_path):
    def failed(job):
        return job.settings.steps == 10 and job.settings.guidance_scale == 1

    made = make_sweep(tmp_path, x=GUIDANCE, y=STEPS, failed=failed)
    pages = list(grids(made))
    assert len(pages) == 6  # two prompts by three seeds
    image, step = pixels(pages[1]), plots.CELL + plots.GAP
    left = image.shape[1] - plots.MARGIN - 3 * step + plots.GAP
    for column, scale in enumerate((5, 1, 3)):
        for row, steps in enumerate((5, 10)):
            cell = image[plots.HEADER + row * step :, left + column * step :][: plots.CELL, : plots.CELL]
            if not (scale == 1 and steps == 10):
                assert (cell == (10 * scale, steps, 40 + 9 * len("ddim"))).all()
    assert "out of memory" in " ".join(words(pages[0]))
    assert sum(bool(patch.get_hatch()) for patch in pages[0].axes[0].patches) == 1
    assert [word for word in words(pages[0]) if word.startswith("guidance scale")] == [
        "guidance scale 5",
        "guidance scale 1",
        "guidance scale 3",
    ]


def test_a_changed_prompt_is_one_row(make_sweep, tmp_path):
    prompts = ["a red house", "a red boat"]
    made = make_sweep(tmp_path, x="prompt_part=red | blue", y="prompt", pages="seed", prompts=prompts)
    pages = list(grids(made))
    assert len(pages) == 3
    assert pages[0].get_size_inches()[1] * plots.DPI == plots.HEADER + 2 * (plots.CELL + plots.GAP) - plots.GAP + 20
    assert {"prompt part red", "prompt part blue"} <= set(words(pages[0]))
    assert set(made.study.frame()["prompt"]) == {*prompts, "a blue house", "a blue boat"}


def test_a_page_shares_its_noise_and_says_which(make_sweep, tmp_path):
    made = make_sweep(tmp_path, x=GUIDANCE, y=STEPS, pages="eta=0,1")
    notes = [" ".join(words(page)) for page in grids(made, most_pages=50)]
    assert len(notes) == 12
    assert all(f"seed {number % 3}," in note for number, note in enumerate(notes))
    assert "eta 0, prompt 1 a red house, seed 0, page 1 of 12" in notes[0]


def test_noise_follows_the_seed_where_the_seed_is_an_axis(make_sweep, tmp_path):
    [first, _] = grids(make_sweep(tmp_path, x="seed", y=STEPS))
    assert {"seed 0", "seed 1", "seed 2"} <= set(words(first))


def test_large_sweeps_are_paged_and_the_pages_written(make_sweep, tmp_path):
    made = make_sweep(tmp_path, x="guidance_scale=1:14:1", y="steps=1:18:1", prompts=["a house"], seeds=1, yes=True)
    paths = write_grids(made)
    assert [path.name for path in paths] == [f"guidance_scale-by-steps-{number:02}.png" for number in range(1, 10)]
    assert "page 9 of 9" in " ".join(words(list(grids(made))[-1]))
    for path in paths:
        with Image.open(path) as picture:
            assert max(picture.size) < 2600


def test_all_pages_are_written_however_many(make_sweep, tmp_path):
    made = make_sweep(
        tmp_path, x="seed", y="steps=1,2", pages="eta=0:1:0.04", prompts=["a house"], empty=True, yes=True
    )
    assert len(write_grids(made)) == 26
    assert len(list(grids(made))) == 20


def test_texts_paths_and_empty_values_are_named(make_sweep, tmp_path):
    made = make_sweep(tmp_path, x="negative_prompt=none | <i>dark</i> $x$", y="seed", prompts=["a $house$"])
    [page] = grids(made)
    assert {"negative prompt\nnone", "negative prompt\n<i>dark</i> $x$"} <= set(words(page))
    pixels(page)
    assert plots.name_value("model", "/home/someone/models/tiny/") == "tiny"


@pytest.mark.parametrize("folder", ["tiny_sd", "tiny_sdxl"])
def test_sweeps_are_rendered_and_resumed_on_models_of_other_shapes(folder, request, tmp_path):
    how = {
        "prompts": ["a red house"], "x": "prompt_part=red | blue", "y": "steps=1,2", "pages": "guidance_scale=1,6",
        "seeds": 2, "model": str(request.getfixturevalue(folder)), "settings": Settings(width=64, height=64),
        "out": tmp_path, "progress": False,
    }  # fmt: skip
    made = sweep(**how)
    assert made.study.counts == {"done": 16, "failed": 0, "left": 0}
    assert made.frame["pixels_sha256"].nunique() == 16
    assert set(made.study.frame()["prompt"]) == {"a red house", "a blue house"}
    written = {path: path.stat().st_mtime_ns for path in (made.study.folder / "images").iterdir()}
    how.pop("progress")
    again = prepare(**how | {"x": how["y"], "y": how["x"]})
    assert again.left == 0 and again.run(progress=False).study.folder == made.study.folder
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert made.measure() == ["sharpness"] and made.frame["sharpness"].notna().all()


@pytest.mark.parametrize(("how", "message"), [
    ({"measures": ["sharpnes"]}, "did you mean 'sharpness'"),
    ({"measures": ["kid"]}, "give a folder of pictures"),
    ({"measures": ["sharpness"], "reference": "."}, "add kid to the measures"),
    ({"reference": "."}, "at least .* pictures"),
    ({"clip": "nonsense"}, "did you mean 'vignettes-clip'"),
    ({"clip": str(PRESETS["vignettes-gpt2"].folder)}, "is no CLIP"),
])  # fmt: skip
def test_measures_are_checked_before_anything_is_rendered(how, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = prepare("a red house", x=STEPS)
    with pytest.raises(SynthError, match=message):
        request.check_measures(**how)


def test_kid_of_each_cell_is_against_a_reference(make_sweep, tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(12):
        Image.effect_noise((64, 64), 40 + 9 * number).convert("RGB").save(tmp_path / "photos" / f"{number}.png")
    made = make_sweep(tmp_path / "out", x="steps=1,2", prompts=["a house"], seeds=12)
    assert made.measure(reference=tmp_path / "photos")[-1] == "kid"
    assert made.frame.groupby("steps", observed=True)["kid"].nunique().tolist() == [1, 1]
    assert "12 pictures sha256:" in made.frame["kid_model"].iloc[0]
