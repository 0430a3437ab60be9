"""The examination runs the real models over the list and says what it found."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from synth.jobs import Settings
from synth.vignettes import examination
from synth.vignettes.attributes import ATTRIBUTES
from synth.vignettes.examination import examine


@pytest.fixture
def found(tiny_sd, tiny_gpt2, tmp_path, monkeypatch):
    monkeypatch.setattr(examination, "RENDERED", 4)
    monkeypatch.setitem(examination.RECIPES, "gpt2", replace(examination.RECIPES["gpt2"], steps=2))
    settings = Settings(steps=1, width=64, height=64)
    model, expander = str(tiny_sd), str(tiny_gpt2)
    return examine(model=model, expander=expander, settings=settings, count=3, failures=tmp_path / "wrong.png")


def test_an_untrained_model_fails_the_examination(found, tmp_path):
    assert {score.count for score in found.drawn.values()} == {3}
    assert sum(score.right for score in found.drawn.values()) < 12
    assert all(score.right >= 3 for score in found.rendered.values()), "the judge knows its scenes"
    assert found.vae_psnr < 20
    assert found.expansions.count == 3
    assert Image.open(tmp_path / "wrong.png").width > 300
    attribute, asked, seen, times = found.confused[0]
    assert asked != seen and {asked, seen} <= set(ATTRIBUTES[attribute]) and times >= 1


def test_the_table_tells_every_figure_and_what_was_missed(found):
    table = found.table()
    assert all(f"| {name} |" in table for name in ATTRIBUTES)
    assert "(missed)" in table
    assert f"{found.vae_psnr:.2f} dB" in table
    assert "3 held-out captions at 1 steps of ddim" in table
    json.dumps(found.as_dict())
