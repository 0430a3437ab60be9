"""Figures: the right picture in the right cell, readable labels, nothing left behind in matplotlib."""

import io
import warnings
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from made_up_studies import PHRASE, make_study
from matplotlib import pyplot
from PIL import Image

from synth import plots


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("study") / "s", failed={(1, 1)}, truncated={2: " hill"})


def pixels(figure) -> np.ndarray:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(buffer, format="png")
    return np.array(Image.open(buffer).convert("RGB"))


def words(figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_each_picture_stands_in_its_cell_at_twice_its_size_and_more(study):
    image = pixels(plots.image_grid(study))
    step = plots.CELL + plots.GAP
    for index, seed in ((0, 0), (0, 1), (1, 0), (2, 1)):
        top, left = plots.HEADER + index * step, plots.MARGIN + plots.LABEL + seed * step
        cell = image[top : top + plots.CELL, left : left + plots.CELL]
        assert (cell == (40 * index, 90 * seed, 120)).all()
    assert plots.CELL >= 2 * 128


def test_a_grid_shows_sharp_pixels_when_the_cell_has_the_pictures_size(tmp_path):
    study = make_study(tmp_path / "s", added=[" x"], seeds=[0])
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(study.folder / study.frame()["path"][0])
    image = pixels(plots.image_grid(study, cell=64))
    left = plots.MARGIN + plots.LABEL
    assert (image[plots.HEADER : plots.HEADER + 64, left : left + 64] == noise).all()


def test_labels_tell_phrase_and_added_words_apart(study):
    texts = plots.image_grid(study).axes[0].texts
    phrases = [
        text
        for text in texts
        if text.get_color() == plots.INK and text.get_text() == PHRASE and text.get_weight() == "normal"
    ]
    added = [text.get_text() for text in texts if text.get_color() == plots.ACCENT]
    assert len(phrases) == 3
    assert " ".join(added) == "at sunset, in the rain by the sea, oil painting on a green hill"
    assert {"seed 0", "seed 1"} <= {text.get_text() for text in texts}


def test_failed_and_lost_pictures_are_hatched_and_say_why(study, tmp_path):
    figure = plots.image_grid(study)
    assert "out of memory <b>twice</b>" in words(figure)
    assert sum(bool(patch.get_hatch()) for patch in figure.axes[0].patches) == 1
    lost = make_study(tmp_path / "s")
    (lost.folder / lost.frame()["path"][0]).unlink()
    (lost.folder / lost.frame()["path"][1]).write_bytes(b"no picture")
    assert words(plots.image_grid(lost)).count("missing or damaged") == 2


@pytest.mark.parametrize(
    "phrase", ["cost $5 and $x^2$", "\U0001f600 红色的灯塔", "منارة حمراء", "x" * 400, "{x} \\alpha _"]
)
def test_any_phrase_is_drawn_as_it_is_and_without_a_warning(phrase, tmp_path):
    study = make_study(tmp_path / "s", phrase, added=["", " at $5"], seeds=[0])
    pixels(plots.image_grid(study, cell=128))
    pixels(plots.token_lengths(study))


def test_a_frame_knows_where_its_pictures_are(study):
    assert (pixels(plots.image_grid(study.frame())) == pixels(plots.image_grid(study))).all()


def test_any_columns_can_span_a_grid(study):
    frame = study.frame().assign(steps=[10, 20, 10, 20, 10, 20], model=["a", "a", "b", "b", "c", "c"])
    frame.attrs["folder"] = study.folder
    text = words(plots.image_grid(frame, rows="model", columns="steps"))
    assert all(label in text for label in ("model a", "model c", "steps 10", "steps 20"))


def test_large_grids_are_paged_and_no_picture_is_lost(tmp_path):
    study = make_study(tmp_path / "s", added=[f" {number}" for number in range(5)], seeds=range(4))
    pages = list(plots.image_grids(study, most_rows=2, most_columns=3))
    headers = [[text.get_text() for text in page.axes[0].texts if text.get_text().startswith("seed")] for page in pages]
    assert headers == [["seed 0", "seed 1", "seed 2"], ["seed 3"]] * 3
    assert "page 2 of 6" in words(pages[1]) and "the rest" not in words(pages[1])
    few = list(plots.image_grids(study, most_rows=2, most_columns=3, most_pages=2))
    assert len(few) == 2 and "page 2 of 6 (the rest is in images/)" in words(few[1])


def test_headers_of_narrow_columns_never_overlap(study):
    rows = study.frame().iloc[[1]].loc[lambda frame: frame.index.repeat(2000)]
    rows = rows.assign(seed=[10**8 + number for number in range(100)] * 20, steps=np.repeat(range(20), 100))
    figure = plots.image_grid(rows.assign(status="failed"), rows="steps")
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts if text.get_text().startswith("seed")]
    assert len(boxes) >= 25 and all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_hundreds_of_prompts_still_make_figures(study):
    rows = study.frame().iloc[[0]].loc[lambda frame: frame.index.repeat(3000)]
    rows = rows.assign(prompt_index=range(3000), prompt=[f"{PHRASE} number {number}" for number in range(3000)])
    assert sum(patch.get_height() for patch in plots.token_lengths(rows).axes[0].patches) == 3000
    figure = plots.diversity(rows)
    assert "the first 100: mean distance" in words(figure)
    assert figure.axes[0].collections[0].get_array().size == 100 * 100


def test_many_batch_sizes_have_colours_of_their_own(study):
    rows = study.frame().iloc[[0] * 9].assign(batch_size=range(1, 10))
    figure = plots.timing(rows)
    pixels(figure)
    assert len({tuple(colour) for colour in figure.axes[0].collections[0].get_facecolors()}) == 9


def test_a_huge_grid_stays_within_bounds(study):
    rows = study.frame().iloc[[1]].loc[lambda frame: frame.index.repeat(4000)].assign(seed=range(4000), status="failed")
    wide = plots.image_grid(rows, rows="steps")
    square = plots.image_grid(rows.head(500).assign(seed=[*range(10)] * 50, steps=[*range(50)] * 10), rows="steps")
    for figure in (wide, square):
        assert figure.get_size_inches().prod() * plots.DPI**2 < 2 * plots.LARGEST
        assert max(figure.get_size_inches()) * plots.DPI < 2**15
    assert sum(bool(patch.get_hatch()) for patch in wide.axes[0].patches) == plots.MOST
    assert "the first 100 of 4,000 seeds" in words(wide) and "the first" not in words(square)


def test_token_lengths_show_what_the_renderer_reads_and_what_not(study):
    figure = plots.token_lengths(study)
    widths = sorted({round(patch.get_width()) for patch in figure.axes[0].patches})
    assert widths == [12, plots.USABLE_TOKENS, 90]


def test_diversity_is_zero_for_the_same_words_and_one_for_none_in_common(tmp_path):
    study = make_study(tmp_path / "s", added=[" in the rain", ", the rain in", " by night"])
    values = plots.diversity(study).axes[0].collections[0].get_array().reshape(3, 3)
    assert values[0, 1] == 0 and values[0, 2] == values[1, 2] == 1


def test_one_prompt_and_no_picture_still_make_figures(tmp_path):
    study = make_study(tmp_path / "s", added=[" x"], seeds=[0], failed={(0, 0)})
    for figure in (plots.image_grid(study), plots.token_lengths(study), plots.diversity(study), plots.timing(study)):
        pixels(figure)


def test_timing_has_a_point_for_each_finished_picture(study):
    points = plots.timing(study).axes[0].collections[0].get_offsets()
    assert len(points) == 5


def test_figures_leave_no_trace_in_pyplot_or_its_settings(study):
    before = dict(matplotlib.rcParams)
    plots.timing(study)
    plots.image_grid(study)
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []


def test_a_notebook_shows_a_figure_as_png(study):
    assert plots.timing(study)._repr_png_().startswith(b"\x89PNG")
