"""What the notebook on fine-tuning shows besides figures, whatever the captions are."""

import re
from html import unescape
from pathlib import Path

import pytest
from PIL import Image

from synth.layout import training_pages as pages
from synth.measure.intervals import Figure
from synth.train.data.preparation import prepare
from synth.train.evaluation import Evaluation
from synth.train.params import Data, Params
from synth.train.runs import Run
from synth.train.sweeps import variants

HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(2)> 'it''s'"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Four pictures, two of which can be used, with a hostile caption and name."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "mine").mkdir()
    for number, name in enumerate(("a", "b", "<i>c", "d")):
        Image.new("RGB", (64, 64) if number < 2 else (8, 8), (number * 60, 0, 0)).save(folder / "mine" / f"{name}.png")
        (folder / "mine" / f"{name}.txt").write_text(f"{HOSTILE} {name}")
    return prepare(Data(source=str(folder / "mine"), size=64), folder / "out", progress=False)


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", " ", html)).replace("\xa0", " ")


def test_no_page_lets_markup_through(prepared):
    run = Run(Path("runs/<b>"), Path("runs/<b>/model"), Path("runs/<b>/step.safetensors"), {})
    for html in (pages.data_table(prepared, "vignettes"), pages.left_out_table(prepared), pages.uses(run, HOSTILE)):
        assert not re.search(r"<(script|img|i|b)\b", html)


def test_the_data_are_counted_and_what_was_left_out_is_named(prepared):
    assert "pictures 2 (1 to train on, 1 to validate with)" in " ".join(
        text_of(pages.data_table(prepared, "vignettes")).split()
    )
    left_out = text_of(pages.left_out_table(prepared, most=1))
    assert "<i>c.png" in left_out and "too small" in left_out and "1 more are in left_out.jsonl" in left_out


def test_of_a_set_that_lost_nothing_there_is_no_table(tmp_path):
    whole = prepare(Data(limit=2, size=64), tmp_path / "out", progress=False)
    assert pages.left_out_table(whole) == ""


def test_a_training_is_named_by_what_tells_it_from_the_others():
    one, two, three = variants(Params(), "lora_rank=2,8,32")
    assert text_of(pages.variant(two, [one, two, three])).strip() == "lora_rank 8"
    assert pages.variant(one, [one]) == ""


def test_figures_stand_before_and_after_with_their_intervals():
    evaluation = Evaluation(
        "unet", [Figure("loss", 0.4, 0.3, 0.5), Figure("draws_time", 1, 0.8, 1)], [Figure("loss", 0.6, 0.5, 0.7)]
    )
    text = " ".join(text_of(pages.figures_table(evaluation, [], [Figure("gold", 0.5, 0.4, 0.6)])).split())
    for part in (
        "error, own caption 0.6 (0.5 to 0.7) 0.4 (0.3 to 0.5)",
        "draws the time 1 (0.8 to 1)",
        "gold and lacquer 0.5",
    ):
        assert part in text


def test_the_clip_behind_a_figure_is_named():
    evaluation = Evaluation("unet", [Figure("kid", 0.1, 0, 1)], terms={"kid": {"clip": "a-clip sha256:<b>"}})
    html = pages.figures_table(evaluation)
    assert "by the features of a-clip sha256:<b>" in text_of(html) and "<b>" not in html


def test_the_commands_can_be_typed(tmp_path):
    run = Run(tmp_path, tmp_path / "model", tmp_path / "a b" / "step-1.safetensors", {})
    text = text_of(pages.uses(run, "a cat's house"))
    assert f"""synth render --prompt 'a cat'"'"'s house' \\\n    --model '{run.best}'""" in text
