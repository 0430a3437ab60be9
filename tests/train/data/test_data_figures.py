"""Figures of prepared sets show what is in them, whatever that is, and leave nothing behind in matplotlib."""

import io
import warnings

import numpy as np
import pytest
from made_up_pictures import sidecar
from matplotlib import pyplot
from PIL import Image

from synth.train.data import figures
from synth.train.data.preparation import prepare
from synth.train.data.prepared import PreparedSet
from synth.train.params import Data


def pixels(figure) -> np.ndarray:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(buffer, format="png")
    return np.array(Image.open(buffer).convert("RGB"))


def words(figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def ready(folder, count, caption=lambda number: f"house {number}", wrong=()) -> PreparedSet:
    sidecar(folder / "s", count, caption)
    for number in wrong:
        (folder / "s" / f"{number:03d}.jpg").write_bytes(b"broken")
    return prepare(Data(source=str(folder / "s"), size=64), folder / "out", progress=False)


def test_a_sheet_shows_each_picture_above_its_caption(tmp_path):
    prepared = ready(tmp_path, 7)
    figure = figures.sample_sheet(prepared, 6, 3)
    image, text = pixels(figure), words(figure)
    order = sorted(range(7), key=lambda place: prepared.records[place].digest[::-1])[:6]
    for number, place in enumerate(order):
        x = figures.MARGIN + number % 3 * (figures.CELL + figures.GAP) + figures.CELL // 2
        y = figures.HEADER + number // 3 * (figures.CELL + figures.CAPTION) + figures.CELL // 4
        assert np.abs(image[y, x].astype(int) - prepared.pictures[place][16, 32]).max() < 12
        assert prepared.records[place].captions[0] in text
    assert text.count("validation") == sum(prepared.records[place].split == "validation" for place in order)


@pytest.mark.parametrize("caption", ["$x^2$ & <b>", "红色的灯塔 \U0001f600", "منارة حمراء", "x" * 900, "word " * 300])
def test_any_caption_is_drawn(tmp_path, caption):
    prepared = ready(tmp_path, 3, lambda number: caption)
    for figure in (figures.sample_sheet(prepared), figures.caption_lengths(prepared)):
        pixels(figure)


def test_sizes_have_a_dot_for_each_size(tmp_path):
    figure = figures.sizes(ready(tmp_path, 5))
    pixels(figure)
    assert figure.axes[0].collections[0].get_offsets().tolist() == [[96.0, 80.0]]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["5"]
    assert "64 px" in words(figure) and "0 are enlarged" in words(figure)


def test_lengths_mark_what_is_not_read(tmp_path):
    prepared = ready(tmp_path, 4, lambda number: "tree " * (30 if number else 100))
    figure = figures.caption_lengths(prepared)
    pixels(figure)
    assert "75 tokens are read; 1 of 4 captions go on unread" in words(figure)


def test_reasons_have_a_bar_each(tmp_path):
    prepared = ready(tmp_path, 6, lambda number: "" if number in (2, 3) else f"house {number}", wrong=[1])
    figure = figures.left_out(prepared)
    pixels(figure)
    assert sorted(round(patch.get_width()) for patch in figure.axes[0].patches) == [1, 2]
    assert "3 of 6" in words(figure)


def test_nothing_left_out_is_a_figure_too(tmp_path):
    prepared = ready(tmp_path, 2)
    assert "none was" in words(figures.left_out(prepared))
    for figure in (figures.left_out(prepared), figures.sizes(prepared), figures.sample_sheet(prepared, 100, 50)):
        pixels(figure)
    assert pyplot.get_fignums() == []
