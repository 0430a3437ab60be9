"""Two processes train as one does, and talk as one: figures, progress and mistakes come from the first alone."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from several_processes import CONFIGS, TORCHRUN, together

from synth import cli
from synth.cli import main
from synth.train.checkpoints import checkpoints
from synth.train.data.preparation import prepare
from synth.train.loop import read_log
from synth.train.params import Data

HOW = ["--steps", "4", "--batch-size", "8", "--validate-every", "4", "--precision", "fp32", "--warmup", "1"]
HOW += ["--learning-rate", "0.001"]


@pytest.fixture(scope="module")
def commands(tiny_sd, tiny_gpt2, tmp_path_factory):
    """A training of each kind, without its folder."""
    root = tmp_path_factory.mktemp("processes")
    sizes = {"small": Data(size=64, limit=24), "large": Data(limit=8)}
    small, large = (prepare(how, root / name, progress=False).folder for name, how in sizes.items())
    (root / "params.yaml").write_text("evaluate: {steps: 1}\n")
    kinds = {
        "unet": ["unet", "--data", small, "--base", tiny_sd, "--text-encoder", "1", "--accumulate", "2"],
        "lora": ["unet", "--data", small, "--base", tiny_sd, "--lora-rank", "2"],
        "vae": ["vae", "--data", large],
        "gpt2": ["gpt2", "--data", small, "--base", tiny_gpt2],
        "clip": ["clip", "--data", large],
    }
    words = {name: ["train", *words, "--params", root / "params.yaml", *HOW] for name, words in kinds.items()}
    return {name: [*map(str, found), "--out"] for name, found in words.items()}


def losses(run):
    return [line["loss"] for line in read_log(run / "log.jsonl") if "loss" in line]


def test_two_processes_train_as_one_does(commands, tmp_path):
    for name, words in commands.items():
        assert main([*words, str(tmp_path / "one" / name)]) == 0
    launched = [name for name in commands if name != "unet"]
    first, second = together([[*commands[name], tmp_path / "two" / name] for name in launched], tmp_path / "two")
    assert all(f"{kind}: 100%" in first for kind in ("unet", "vae", "gpt2", "clip"))
    assert second == ""
    _launch_by_accelerate([*commands["unet"], str(tmp_path / "two" / "unet")])
    for name in commands:
        one, two = losses(tmp_path / "one" / name), losses(tmp_path / "two" / name)
        assert len(one) == 4 and two == pytest.approx(one, rel=1e-4), name


def _launch_by_accelerate(words):
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", CONFIGS / "two_cpu_processes.yaml"]
    subprocess.run([*launch, "-m", "synth", *words], check=True, timeout=200)


def test_a_mistake_is_told_once(tmp_path):
    """Found by the first process while the second waits for it, which is then ended by the launcher."""
    command = ["-m", "synth", "train", "unet", "--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "run")]
    done = subprocess.run([*TORCHRUN, *command], capture_output=True, text=True, timeout=200)
    assert done.returncode != 0
    assert done.stderr.count("synth: ") == done.stderr.count("give a folder that exists") == 1
    assert done.stderr.count("Traceback") == 1, "torchrun's own"


def test_processes_that_found_other_checkpoints_do_not_go_on(tmp_path):
    """As on two machines, of which the second does not see the folder of the first."""
    program = "import os; from pathlib import Path; from test_loop import RECIPE, Line, Trainer\n"
    program += f"Trainer(Line(), RECIPE, Path({str(tmp_path)!r}) / os.environ.get('RANK', '0')).run()\n"
    (tmp_path / "train.py").write_text(program)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    subprocess.run([sys.executable, tmp_path / "train.py"], env=env, check=True, timeout=200)
    assert checkpoints(tmp_path / "0" / "checkpoints")
    done = subprocess.run([*TORCHRUN, tmp_path / "train.py"], env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode != 0
    assert "TrainError: line: the processes would go on from different steps (60, 0); let all machines" in done.stderr


def test_a_process_that_fails_alone_speaks_after_a_while(monkeypatch, capsys):
    waited = []
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(time, "sleep", waited.append)
    assert main(["train", "config", "gpu"]) == 2
    assert waited == [cli.PATIENCE]
    assert "did you mean 'gpus'" in capsys.readouterr().err
