"""Figures of measures and votes show every picture, measure and interval there is, and say what is left out."""

import io
import warnings

import numpy as np
import pytest
from drawn_studies import drawn_study, quality_votes
from matplotlib import pyplot
from matplotlib.collections import LineCollection, PathCollection
from PIL import Image

from synth.errors import InputError, StudyError
from synth.measure.figures import distributions
from synth.measure.studies import measure
from synth.measure.vote_figures import MOST_ROWS, agreements, ranks
from synth.measure.votes import merge
from synth.measure.voting_page import write_page
from synth.studies import Study


@pytest.fixture(scope="module")
def voted(tmp_path_factory) -> Study:
    folder = tmp_path_factory.mktemp("figures")
    study = drawn_study(folder / "voted", seeds=10, axes=["guidance_scale=1,3"], odd={3: None})
    measure(study, ["clip_prompt", "attributes_prompt", "sharpness", "self_bleu"], device="cpu", progress=False)
    page = write_page(study, folder / "votes.html", pairs=60)
    merge(study, quality_votes(page, folder, {job.key: 0.4 * job.seed for job in study.jobs}))
    return study


def words(figure) -> str:
    """All text of a figure, once it is drawn without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Image.open(io.BytesIO(figure.png())).size[0] > 500
    assert not pyplot.get_fignums()
    ticks = [label for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    titles = [part for axes in figure.axes for part in (axes._left_title, axes.xaxis.label, *axes.texts)]
    return " | ".join(part.get_text() for part in (*figure.texts, *ticks, *titles))


def dots(axes) -> list:
    points = [part for part in axes.collections if isinstance(part, PathCollection)]
    return [offset for part in points for offset in part.get_offsets()]


def test_a_panel_for_each_measure_has_a_dot_for_each_picture(voted):
    figure = distributions(voted)
    text = words(figure)
    panels = {axes._left_title.get_text(): axes for axes in figure.axes}
    assert panels.keys() == {
        "CLIP score, prompt", "Attributes right, prompt", "Sharpness", "Of the pictures together",
    }  # fmt: skip
    frame = voted.frame()
    assert sorted(x for x, _ in dots(panels["Sharpness"])) == pytest.approx(sorted(frame["sharpness"].dropna()))
    assert len(dots(panels["Sharpness"])) == 39
    assert f"mean {frame.groupby('seed')['sharpness'].mean().mean():.3g} (" in text and "over the seeds" in text
    assert "Self-BLEU" in text and "one value for all" in text and "1  a red castle by the sea" in text


def test_a_prompt_without_a_value_keeps_its_row(voted):
    frame = voted.frame()
    frame.loc[frame["prompt_index"] == 0, "clip_prompt"] = float("nan")
    figure = distributions(frame)
    assert "What was measured of 39 pictures" in words(figure)
    first = figure.axes[0]
    assert len(first.get_yticks()) == 2 and {round(y) for x, y in dots(first) if x == x} == {1}


def test_many_prompts_make_a_histogram(voted, monkeypatch):
    monkeypatch.setattr("synth.measure.figures.MOST_PROMPTS", 1)
    figure = distributions(voted.frame())
    words(figure)
    assert sum(bar.get_height() for bar in figure.axes[2].patches) == 39


def test_the_best_are_ranked_with_their_intervals_beside_their_measures(voted):
    figure = ranks(voted)
    text = words(figure)
    phrase = voted.plan.prompts[0]
    rows = voted.frame().query("phrase == @phrase").sort_values("bt_rank").head(MOST_ROWS)
    names, strengths, *beside = figure.axes
    assert len(names.images) == MOST_ROWS
    assert [x for x, _ in dots(strengths)] == pytest.approx(rows["bt_score"].tolist())
    [bars] = [part for part in strengths.collections if isinstance(part, LineCollection)]
    ends = [segment[:, 0] for segment in bars.get_segments()]
    assert np.array(ends) == pytest.approx(rows[["bt_low", "bt_high"]].to_numpy())
    assert [axes._left_title.get_text() for axes in beside] == ["CLIP score, prompt", "Attributes right, prompt"]
    assert [x for x, _ in dots(beside[0])] == pytest.approx(rows["clip_prompt"].tolist())
    assert phrase in text and "the best 16 of 19 pictures" in text
    assert f"prompt 1, seed {rows['seed'].iloc[0]}, guidance scale {rows['guidance_scale'].iloc[0]:g}" in text


def test_another_phrase_and_other_measures(voted):
    figure = ranks(voted, voted.plan.prompts[1], beside=["sharpness", "kid"])
    text = words(figure)
    assert voted.plan.prompts[1] in text and "Sharpness" in text and "KID" not in text
    with pytest.raises(InputError, match="phrase: 'a dog' cannot be used; give one whose pictures were voted on"):
        ranks(voted, "a dog")


def test_agreement_has_a_row_for_each_measure_that_varies(voted):
    figure = agreements(voted)
    text = words(figure)
    assert len(dots(figure.axes[0])) == 2 and "Sharpness" in text and "Attributes" not in text
    assert "39 pictures" in text


def test_without_measures_or_votes_there_is_no_figure(tmp_path):
    study = drawn_study(tmp_path / "bare", seeds=1)
    with pytest.raises(StudyError, match="nothing was measured yet"):
        distributions(study)
    with pytest.raises(StudyError, match="nobody's votes are in the log yet"):
        ranks(study)
    with pytest.raises(StudyError, match="has no votes yet"):
        agreements(study)
