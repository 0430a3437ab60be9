"""Noise schedules, visited timesteps, and the error of few steps: against definitions and independent computation."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

import synth
from synth import presets
from synth.errors import InputError
from synth.explain.film import Studio
from synth.explain.schedule_figures import errors_figure, noise_figure, noised_strip, visits_figure, visits_of
from synth.explain.schedules import WAYS, difference, errors, noise_schedule, scheduler_config, visits, ways
from synth.jobs import Job, Settings
from synth.records.plans import make_plan
from synth.studies import Study
from synth.writing.prompts import Expansion, Prompt

SD2 = {
    "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000, "prediction_type": "epsilon", "steps_offset": 1, "set_alpha_to_one": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def bundled():
    return scheduler_config(presets.resolve("vignettes", "renderer"))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, tiny_sd):
    """A sweep over steps and schedulers, and the folder of studies that it lies in."""
    root = tmp_path_factory.mktemp("studies")
    settings = Settings(width=64, height=64, guidance_scale=1.0)
    axes = ["scheduler=ddim,euler", "steps=4,32"]
    return synth.study(
        prompts=["a cat"], seeds=2, settings=settings, model=str(tiny_sd), axes=axes, out=root, progress=False
    )


@pytest.fixture(scope="module")
def table(sweep):
    return errors(sweep, reference_steps=64, progress=False)


def empty_study(root, axes):
    """A study of which nothing is rendered."""
    plan = make_plan(prompts=["a cat"], seeds=2, settings=Settings(width=64, height=64), axes=axes)
    folder = root / plan.folder_name
    folder.mkdir()
    found = Study(
        folder, plan, Expansion(phrase="", prompts=(Prompt(text="a cat", phrase="a cat"),)), datetime.now(UTC)
    )
    found._write()
    return found


def test_the_noise_schedule_is_that_of_the_betas():
    """SD's betas are the squares of evenly spaced numbers; alpha-bar is the running product of 1 - beta."""
    kept = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
    table = noise_schedule(SD2)
    np.testing.assert_allclose(table["kept"], kept, rtol=1e-3)
    np.testing.assert_allclose(table["snr"], kept / (1 - kept), rtol=1e-2)
    assert table["sigma"].iloc[-1] == pytest.approx(14.61, abs=0.01), "SD's largest sigma, as is well known"
    assert (table["kept"] + table["noise"]).eq(1).all()


def test_the_bundled_model_ends_in_nothing_but_noise(bundled):
    assert noise_schedule(bundled)["kept"].iloc[-1] < 1e-6
    assert noise_schedule(SD2)["kept"].iloc[-1] == pytest.approx(0.0047, abs=1e-4)


def test_spacings_visit_what_lin_et_al_say():
    """Table 2 of "Common diffusion noise schedules and sample steps are flawed", for 10 steps of 1,000, from 1."""
    ten = {name: visits(Settings(steps=10, timestep_spacing=name), SD2) for name in ("leading", "linspace", "trailing")}
    assert [step + 1 for step in ten["trailing"]] == [1000, 900, 800, 700, 600, 500, 400, 300, 200, 100]
    assert [step for step in ten["leading"]] == [901, 801, 701, 601, 501, 401, 301, 201, 101, 1]
    assert [step + 1 for step in ten["linspace"]] == [1000, 889, 778, 667, 556, 445, 334, 223, 112, 1]


def test_every_way_visits_timesteps_that_fall(bundled):
    for config in (bundled, SD2):
        found = ways(config, 10)
        assert list(found) == list(WAYS)
        for name, timesteps in found.items():
            assert all(after <= before for before, after in zip(timesteps, timesteps[1:], strict=False)), name
            assert min(timesteps) >= 0 and max(timesteps) <= 999
        lengths = {name: len(timesteps) for name, timesteps in found.items()}
        assert lengths["10,10,3,2,2"] == lengths["fast27"] == 27 and lengths["ddim50"] == 50
        assert lengths["leading"] == 10


def test_a_short_schedule_has_fewer_ways():
    found = ways(SD2 | {"num_train_timesteps": 40}, 5)
    assert "trailing" in found and "ddim50" not in found


def test_differences_are_root_mean_squares():
    black, grey = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8), (30, 30, 30))
    half = grey.copy()
    half.paste(black.crop((0, 0, 8, 4)), (0, 0))
    assert difference(black, black) == 0 and difference(black, grey) == 30
    assert difference(black, half) == pytest.approx(30 / 2**0.5)
    with pytest.raises(InputError, match="one size"):
        difference(black, black.resize((4, 4)))


def test_more_steps_come_closer_to_the_reference(table):
    assert len(table) == 8 and set(table["steps"]) == {4, 32} and table["way"].equals(table["scheduler"])
    mean = table.groupby(["scheduler", "steps"])["error"].mean()
    for scheduler in ("ddim", "euler"):
        assert 0 < mean[scheduler, 32] < mean[scheduler, 4]


def test_the_error_is_in_the_log_and_the_reference_beside_the_study(sweep, table):
    frame = Study.open(sweep.folder).frame().set_index("key")
    for row in table.itertuples():
        assert frame["error_of_steps"][row.key] == pytest.approx(row.error)
    assert frame["error_of_steps_model"].unique().tolist() == ["RMS difference to 64 steps of ddim"]
    [reference] = [path.parent for path in sweep.folder.parent.glob("*/plan.json") if path.parent != sweep.folder]
    pictures = {path.name: path.stat().st_mtime_ns for path in (reference / "images").glob("*.png")}
    assert len(pictures) == 2
    again = errors(sweep, reference_steps=64, progress=False)
    pd.testing.assert_frame_equal(again, table)
    assert {path.name: path.stat().st_mtime_ns for path in (reference / "images").glob("*.png")} == pictures


def test_what_has_no_reference_is_refused(sweep, tmp_path):
    with pytest.raises(InputError, match="reference_steps"):
        errors(sweep, reference_steps=10)
    source = Image.new("RGB", (64, 64), "red")
    settings = Settings(width=64, height=64, steps=2)
    over = synth.study(prompts=["a cat"], seeds=1, settings=settings, source=source, out=tmp_path, progress=False)
    with pytest.raises(InputError, match="begin with noise alone"):
        errors(over)


@pytest.mark.parametrize(
    "axes", [["guidance_scale=1,8", "steps=2,4"], ["prompt_part=cat | dog", "steps=2,4"], ["size=64x64,72x64"]]
)
def test_what_is_no_matter_of_steps_is_refused_before_the_reference_is_rendered(axes, tmp_path):
    found = empty_study(tmp_path, axes)
    with pytest.raises(InputError, match="nothing but these varies: steps, respacing"):
        errors(found, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == [found.name]


def test_sections_of_glide_have_as_many_steps_as_they_say(tmp_path, tiny_sd):
    how = {"settings": Settings(width=64, height=64, guidance_scale=1.0), "model": str(tiny_sd), "out": tmp_path}
    axes = ["respacing=1,1 | 10,10,3,2,2 | ddim5"]
    table = errors(synth.study(prompts=["a cat"], seeds=2, axes=axes, progress=False, **how), reference_steps=50)
    assert dict(zip(table["way"], table["steps"], strict=True)) == {"1,1": 2, "10,10,3,2,2": 27, "ddim5": 5}
    mean = table.groupby("way")["error"].mean()
    assert mean["10,10,3,2,2"] < mean["1,1"]
    lines = {bars.get_label(): bars for bars in errors_figure(table).axes[0].containers}
    assert set(lines) == set(mean.index)
    assert lines["ddim5"][0].get_xydata()[0] == pytest.approx([5, mean["ddim5"]], rel=0.03)


def test_the_curves_show_means_with_their_intervals_over_seeds():
    """Each seed counts once, with the mean over its prompts; the interval is Student's."""
    rng = np.random.default_rng(0)
    rows = [(way, steps, seed, 10 / steps + seed + rng.normal()) for way in ("ddim", "euler") for steps in (4, 32)
            for seed in range(3) for _ in range(2)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["way", "steps", "seed", "error"])
    figure = errors_figure(table)
    lines = {bars.get_label(): bars for bars in figure.axes[0].containers}
    assert set(lines) == {"ddim", "euler"}
    part = table[(table["way"] == "ddim") & (table["steps"] == 4)].groupby("seed")["error"].mean()
    line, _, [bars] = lines["ddim"]
    assert line.get_xydata()[0] == pytest.approx([4, part.mean()], rel=0.03)
    expected = stats.ttest_1samp(part, 0).confidence_interval(0.95)
    assert bars.get_segments()[0][:, 1] == pytest.approx([expected.low, expected.high])
    assert any("over 3 seeds" in text.get_text() for text in figure.axes[0].texts)
    one = errors_figure(table[table["seed"] == 0]).axes[0]
    assert any("one seed" in text.get_text() for text in one.texts)


def test_figures_of_schedules_are_drawn(bundled):
    for config in (bundled, SD2):
        assert noise_figure(config).png().startswith(b"\x89PNG")
    axes = visits_figure(SD2, 10).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(WAYS)
    own = visits_of({"mine": [999, 500, 0]}, 1000).axes[0]
    [rug] = [item for item in own.collections if len(item.get_segments()) == 3]
    assert sorted(segment[0][0] for segment in rug.get_segments()) == [0, 500, 999]


def test_a_picture_is_noised_as_the_schedule_says(tiny_sd):
    model = presets.resolve(str(tiny_sd), "renderer")
    job = Job(phrase="x", prompt="x", seed=0, settings=Settings(width=64, height=64, steps=2), model=model)
    studio = Studio(model)
    [film] = studio.film([job])
    said = [text.get_text() for text in noised_strip(studio, film, (0, 500, 999, 5000)).axes[0].texts]
    assert "t 500, 28% of it" in said and "t 999, 0% of it" in said
    assert not any("5000" in text for text in said)


def test_models_without_such_a_schedule_are_refused(tmp_path):
    from tiny_sd3 import build_tiny_sd3

    with pytest.raises(InputError, match="other noise"):
        scheduler_config(presets.resolve(str(build_tiny_sd3(tmp_path / "sd3")), "renderer"))
