"""The report's content check: what is flagged is shown blurred with a sentence, and the files stay as they were."""

import base64
import io

import nbformat
import numpy as np
import pytest
from PIL import Image

from synth.errors import InputError, ModelError
from synth.presets import PRESETS
from synth.reporting import prepare, report

GPT2 = str(PRESETS["vignettes-gpt2"].folder)


def small(tmp_path, **more):
    return {"prompts": ["a red house"], "seeds": 1, "steps": 2, "device": "cpu", "out": tmp_path} | more


def outputs(made, cell):
    [found] = [item for item in nbformat.read(made.notebook, 4).cells if item.get("id") == cell]
    return [(kind, data) for output in found.outputs for kind, data in output.get("data", {}).items()]


def test_flagged_pictures_are_shown_blurred_and_a_sentence_says_so(tmp_path):
    concepts = tmp_path / "concepts.txt"
    concepts.write_text("neutral: a blue car at night\nhouses: a red house\n")
    plain = report(**small(tmp_path), name="plain", progress=False)
    checked = report(
        **small(tmp_path), name="checked", content_clip="vignettes-clip", content_concepts=str(concepts), progress=False
    )
    assert outputs(plain, "content") == []
    notes = [data for kind, data in outputs(checked, "content") if kind == "text/html"]
    assert len(notes) == 1 and "flagged <b>1 of 1 pictures</b>" in notes[0] and "as they were rendered" in notes[0]
    before, after = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(dict(outputs(made, "pictures"))["image/png"]))), np.int16)
        for made in (plain, checked)
    )
    assert before.shape == after.shape and np.abs(before - after).max() > 50
    files = [next((made.folder / "images").glob("*.png")) for made in (plain, checked)]
    assert np.array_equal(*(np.asarray(Image.open(file)) for file in files))


@pytest.mark.parametrize(("more", "kind", "says"), [
    ({"content_clip": "vignettes-clip"}, InputError, "never taught"),
    ({"content_clip": "vignettes-clip", "content_concepts": "none.txt"}, InputError, "concepts: 'none.txt'"),
    ({"content_clip": GPT2}, ModelError, "is no CLIP"),
    ({"content_concepts": "mine.txt"}, InputError, "name the CLIP"),
])  # fmt: skip
def test_a_check_that_cannot_be_is_told_before_a_kernel_starts(tmp_path, more, kind, says):
    with pytest.raises(kind, match=says):
        prepare(**small(tmp_path, **more))
