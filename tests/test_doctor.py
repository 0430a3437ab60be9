"""What the doctor finds, and what it keeps to itself."""

import shutil

import pytest
from huggingface_hub import constants
from local_hub import serving

from synth import presets
from synth.cli import main
from synth.doctor import examine


@pytest.fixture
def bundled(tiny_sd, tiny_gpt2, tmp_path, monkeypatch):
    """Bundled models with random weights."""
    monkeypatch.setattr(presets, "BUNDLED", tmp_path / "bundled")
    for name, folder in {"pipeline": tiny_sd, "gpt2": tiny_gpt2, "clip": tiny_gpt2, "upscaler": tiny_gpt2}.items():
        shutil.copytree(folder, tmp_path / "bundled" / name)
    return tmp_path / "bundled"


def test_a_sound_machine_has_no_problems(bundled):
    examination = examine()
    assert examination.problems == []
    assert examination.facts["Would be used"]["renderer"] == "vignettes"
    assert examination.facts["Libraries"]["torch"].startswith("2.")
    assert examination.facts["Bundled models"]["vignettes"].endswith(" MB")
    assert examination.facts["Hub"][constants.ENDPOINT] == "not asked: HF_HUB_OFFLINE is set"


def test_a_damaged_model_is_a_problem(bundled, capsys):
    weights = bundled / "gpt2" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "problem: " in out and "model.safetensors" in out


def test_it_prints_what_it_found_and_never_the_token(bundled, capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "hf_secret" not in out
    for words in ("Machine\n", "token", "present", "float32", "GiB free of"):
        assert words in out


def test_a_hub_is_reachable_or_not(bundled, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with serving({}) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        assert examine().facts["Hub"][address] == "reachable"
    assert examine().facts["Hub"][address].startswith("not reachable")
