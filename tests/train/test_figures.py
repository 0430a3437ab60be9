"""Figures of trainings show what happened: every row, every caption, the best first; and leave no warning behind."""

import io
import json
import warnings

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image
from small_runs import small_run

from synth.errors import InputError
from synth.measure.intervals import Figure
from synth.train import figures
from synth.train.evaluation import Evaluation
from synth.train.history import History

RED, BLUE = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))


def pixels(figure) -> np.ndarray:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(buffer, format="png")
    return np.array(Image.open(buffer).convert("RGB")).astype(int)


def words(figure) -> str:
    figure.savefig(io.BytesIO())
    axes = figure.axes
    ticks = [tick for item in axes for tick in (*item.get_xticklabels(), *item.get_yticklabels())]
    titles = [item.title for item in axes] + [item._left_title for item in axes] + [item.xaxis.label for item in axes]
    legends = [text for holder in (*axes, figure) for legend in _legends(holder) for text in legend.get_texts()]
    found = [text for item in axes for text in item.texts] + ticks + titles + legends
    return " ".join(text.get_text() for text in found)


def _legends(holder):
    found = getattr(holder, "legends", None) or [holder.get_legend() if hasattr(holder, "get_legend") else None]
    return [legend for legend in found if legend]


def made_up(folder, losses, seconds=1.0, **params):
    """A run's folder with these validations."""
    folder.mkdir()
    lines = []
    for step, loss in enumerate(losses, start=1):
        lines.append({"step": step, "loss": loss + 0.1, "seconds": seconds})
        lines.append(
            {"step": step, "validation_loss": loss, "validation_wrong": 2 * loss, "validation_none": 1.5 * loss}
        )
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "params.yaml").write_text(json.dumps({"train": {"steps": 9} | params}))
    return folder


@pytest.fixture(scope="module")
def run(tiny_sd, tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("runs") / "run", tiny_sd)


def test_the_curves_of_a_run_show_its_losses_and_whether_it_listens(tmp_path):
    figure = figures.loss_curves(made_up(tmp_path / "run", [0.5, 0.4, 0.3]))
    left, right = figure.axes
    assert list(left.lines[-1].get_ydata()) == [0.5, 0.4, 0.3]
    assert [list(line.get_ydata()) for line in right.lines] == [
        pytest.approx(values) for values in ([1.0, 0.8, 0.6], [0.75, 0.6, 0.45], [0.5, 0.4, 0.3])
    ]
    assert "step 3 of 9" in words(figure) and "0.3" in words(figure)
    pixels(figure)


def test_a_training_that_has_only_begun_is_drawn_as_far_as_it_is(tmp_path):
    empty = figures.curves([History(tmp_path)])
    assert "the first steps are still to come" in words(empty)
    one = figures.curves([History(tmp_path, [{"step": 1, "loss": 1.0, "seconds": 1.0}])])
    for figure in (empty, one):
        pixels(figure)


def test_several_runs_are_named_by_what_differs_and_the_best_stands_first(tmp_path):
    runs = [
        made_up(tmp_path / "a", [0.6, 0.5], lora_rank=2),
        made_up(tmp_path / "b", [0.4, 0.45], lora_rank=8, seconds=2.0),
    ]
    curves, table = figures.loss_curves(runs), figures.comparison(runs)
    assert all(name in words(curves) for name in ("lora_rank 2", "lora_rank 8"))
    losses, gains, seconds = ([dot[0] for dot in axes.collections[0].get_offsets().tolist()] for axes in table.axes)
    assert [label.get_text() for label in table.axes[0].get_yticklabels()] == ["lora_rank 8", "lora_rank 2"]
    assert (losses, gains, seconds) == ([0.4, 0.5], pytest.approx([0.2, 0.25]), [2.0, 1.0])
    for figure in (curves, table):
        pixels(figure)


def test_runs_of_the_same_name_are_all_there(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    runs = [made_up(tmp_path / name / "run", [0.5]) for name in "ab"]
    labels = [label.get_text() for label in figures.comparison(runs).axes[0].get_yticklabels()]
    assert sorted(labels) == ["a/run", "b/run"]


@pytest.mark.parametrize("other", [{"kind": "gpt2"}, {"prediction": "epsilon"}])
def test_what_means_different_things_is_not_compared(tmp_path, other):
    runs = [made_up(tmp_path / "a", [0.5]), made_up(tmp_path / "b", [0.4], **other)]
    for compare in (figures.comparison, figures.loss_curves):
        with pytest.raises(InputError, match=f"compare trainings of one {next(iter(other))}, not of"):
            compare(runs)


def test_runs_without_a_validation_are_not_compared(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "log.jsonl").touch()
    with pytest.raises(InputError, match="give trainings that were validated at least once"):
        figures.comparison([tmp_path / "new"])
    runs = [made_up(tmp_path / "old", [0.5]), tmp_path / "new"]
    assert len(figures.comparison(runs).axes[0].get_yticklabels()) == 1
    pixels(figures.loss_curves(runs))


def test_sample_rows_have_a_row_for_each_validation_with_the_very_pictures(run):
    figure = figures.sample_rows(run.folder)
    text, drawn = words(figure), pixels(figure)
    history = History.read(run.folder)
    assert "step 2" in text and "step 4" in text and all(caption[:8] in text for caption in history.captions)
    side = figures.CELL
    for row, sheet in enumerate(history.samples.values()):
        with Image.open(sheet) as opened:
            first = np.asarray(opened.crop((0, 0, 64, 64)).resize((side, side), Image.Resampling.LANCZOS)).astype(int)
        x, y = figures.MARGIN + figures.LABEL, figures.HEADER + figures.CAPTION + row * (side + figures.GAP)
        assert abs(drawn[y : y + side, x : x + side] - first).mean() < 2


def test_of_many_validations_eight_are_shown_and_of_none_it_is_said(tmp_path):
    made_up(tmp_path / "run", [0.5])
    with pytest.raises(InputError, match="give a training that drew samples"):
        figures.sample_rows(tmp_path / "run")
    (tmp_path / "run" / "samples").mkdir()
    for step in range(1, 31):
        RED.save(tmp_path / "run" / "samples" / f"step-{step:08d}.png")
    text = words(figures.sample_rows(tmp_path / "run"))
    assert text.count("step ") == 8 and "step 1 " in text + " " and "step 30" in text


@pytest.mark.parametrize("count", [1, 6, 7])
def test_pairs_stand_one_above_the_other(count):
    figure = figures.before_and_after([RED] * count, [BLUE] * count, [f"caption {number}" for number in range(count)])
    drawn = pixels(figure)
    x = figures.MARGIN + figures.LABEL + figures.CELL // 2
    y = figures.HEADER + figures.CAPTION + figures.CELL // 2
    assert drawn[y, x].tolist() == [255, 0, 0] and drawn[y + figures.CELL + figures.GAP, x].tolist() == [0, 0, 255]
    assert (drawn == [255, 0, 0]).all(2).sum() == count * figures.CELL**2
    assert all(f"caption {number}" in words(figure) for number in range(count))


def test_pairs_need_as_many_pictures_as_captions():
    for before, after, captions in (([RED], [RED, RED], ["a"]), ([], [], [])):
        with pytest.raises(ValueError, match="as many pictures as captions"):
            figures.before_and_after(before, after, captions)


def test_shares_are_in_percent_with_their_intervals():
    before, after = [Figure("colour", 0.9, 0.8, 0.95)], [Figure("colour", 0.5, 0.4, 0.6)]
    figure = figures.shares(before, after, "What did it forget?", "note")
    ends = [container.lines[2][0].get_segments()[0][:, 0].tolist() for container in figure.axes[0].containers]
    assert ends == [pytest.approx([80, 95]), pytest.approx([40, 60])]
    assert "colour" in words(figure) and "before" in words(figure)
    pixels(figure)


def test_errors_by_timestep_stand_in_the_middle_of_their_parts():
    parts = {
        name: [Figure(name, value, value - 0.05, value + 0.05) for value in values] + [None]
        for name, values in (("loss", (0.1, 0.2, 0.25)), ("none", (0.3, 0.4, 0.45)))
    }
    figure = figures.errors_by_timestep(Evaluation("unet", [], [], parts))
    bands = [band.get_paths()[0].vertices[:, 1] for band in figure.axes[0].collections]
    assert [(band.min(), band.max()) for band in bands] == [pytest.approx((0.25, 0.5)), pytest.approx((0.05, 0.3))]
    assert [line.get_xydata()[:3].tolist() for line in figure.axes[0].lines] == [
        [[12.5, 0.3], [37.5, 0.4], [62.5, 0.45]],
        [[12.5, 0.1], [37.5, 0.2], [62.5, 0.25]],
    ]
    pixels(figure)


def test_nothing_stays_in_pyplot(tmp_path):
    figures.loss_curves(made_up(tmp_path / "run", [0.5]))
    assert not pyplot.get_fignums()
