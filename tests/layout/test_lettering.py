"""Users' text in figures."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from synth.layout.lettering import ELLIPSIS, MISSING, Span, draw_wrapped, legible, shorten

ODD = "cost $5 and $x_1$ \U0001f600 \U0001f468‍\U0001f469 红色 مرحبا שלום ́  \n tab\t<b>"


@pytest.fixture
def axes():
    figure = Figure(figsize=(4, 3), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 400), ylim=(300, 0))
    return axes


def test_legible_text_has_a_box_for_what_no_font_can_draw():
    assert legible("a\U000e0fffb\U00010fffc") == f"a{MISSING}b{MISSING}c"
    assert legible(" two\n lines ") == "two lines"


def test_any_text_is_drawn_without_a_warning(axes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_wrapped(axes, [Span(ODD, "black"), Span(ODD, "red", "bold")], 0, 0, width=150, lines=20, size=10)
        axes.figure.canvas.draw()
    assert any("$x_1$" in text.get_text() for text in axes.texts)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=60), min_size=1, max_size=3))
def test_wrapped_lines_keep_all_words_in_order_and_fit(texts):
    figure = Figure(figsize=(4, 3), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 400), ylim=(300, 0))
    draw_wrapped(axes, [Span(text, "black") for text in texts], 10, 10, width=200, lines=999, size=10)
    drawn = "".join(text.get_text() for text in axes.texts).replace(" ", "")
    assert drawn == "".join(legible(text) for text in texts).replace(" ", "")
    for text in axes.texts:
        assert text.get_window_extent(canvas.get_renderer()).width <= 205


def test_too_many_lines_end_in_an_ellipsis(axes):
    height = draw_wrapped(axes, [Span("word " * 100, "black")], 0, 0, width=150, lines=3, size=10)
    lines = {text.get_position()[1] for text in axes.texts}
    assert len(lines) == 3 and axes.texts[-1].get_text().endswith(ELLIPSIS)
    assert height == pytest.approx(3 * 1.4 * 10 * 100 / 72)


def test_colours_stay_with_their_words(axes):
    draw_wrapped(
        axes, [Span("a red lighthouse", "black"), Span(" at sunset", "teal")], 0, 0, width=390, lines=2, size=10
    )
    assert [(text.get_text(), text.get_color()) for text in axes.texts] == [
        ("a red lighthouse", "black"),
        ("at sunset", "teal"),
    ]
    first, second = axes.texts
    assert second.get_position()[0] > first.get_window_extent().width


def test_looks_may_change_within_a_word(axes):
    draw_wrapped(axes, [Span("a house", "black"), Span(", by night", "teal")], 0, 0, width=390, lines=2, size=10)
    first, second = axes.texts
    assert [first.get_text(), second.get_text()] == ["a house", ", by night"]
    gap = second.get_position()[0] - first.get_window_extent().x1
    assert -1 < gap < 2, "no space before the comma"


def test_shorten_cuts_at_a_word():
    assert shorten("a red lighthouse at sunset", 20) == f"a red lighthouse at{ELLIPSIS}"
    assert shorten("short", 20) == "short"
    assert len(shorten("x" * 50, 20)) == 20
