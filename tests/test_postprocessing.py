"""Steps on finished pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from synth.errors import InputError
from synth.postprocessing import STEPS, check_postprocess, postprocess


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(40, 200, (32, 32, 3), dtype=np.uint8))


def levels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, float)


@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.floats(0, 2).map(lambda x: round(x, 3))), max_size=4))
def test_the_normal_form_is_its_own(steps):
    text = "  ".join(
        f"{name}={'/'.join([str(int(value) if name == 'denoise' else value)] * STEPS[name][0])}"
        for name, value in steps
    )
    assert check_postprocess(check_postprocess(text)) == check_postprocess(text)


@pytest.mark.parametrize(
    "text", ["blur=1", "sharpen", "sharpen=x", "contrast=4", "balance=1/1", "denoise=0.5", "contrast=nan", 3]
)
def test_a_wrong_step_is_one_clear_error(text):
    with pytest.raises(InputError, match=r"postprocess: .*; give "):
        check_postprocess(text)


def test_neutral_values_change_nothing(picture):
    text = " ".join(f"{name}={'/'.join([str(neutral)] * many)}" for name, (many, _, _, neutral) in STEPS.items())
    assert postprocess(picture, text).tobytes() == picture.tobytes()


def test_each_step_does_what_it_says(picture):
    edges = lambda image: np.abs(np.diff(levels(image), axis=0)).mean()  # noqa: E731
    assert edges(postprocess(picture, "sharpen=1")) > edges(picture) > edges(postprocess(picture, "denoise=1"))
    assert levels(postprocess(picture, "contrast=1.3")).std() > levels(picture).std()
    assert levels(postprocess(picture, "brightness=1.2")).mean() == pytest.approx(
        1.2 * levels(picture).mean(), rel=0.01
    )
    assert levels(postprocess(picture, "saturation=0")).std(axis=2).max() == 0
    gains = levels(postprocess(picture, "balance=1.1/1/0.5")).mean((0, 1)) / levels(picture).mean((0, 1))
    assert gains == pytest.approx([1.1, 1, 0.5], abs=0.01)


def test_steps_follow_their_order(picture):
    one, other = "contrast=2 brightness=0.5", "brightness=0.5 contrast=2"
    assert postprocess(picture, one).tobytes() != postprocess(picture, other).tobytes()
    by_hand = postprocess(postprocess(picture, "contrast=2"), "brightness=0.5")
    assert postprocess(picture, one).tobytes() == by_hand.tobytes()


def test_too_bright_is_white(picture):
    assert levels(postprocess(picture, "balance=2/2/2")).max() == 255
