"""The training loop learns, logs, stops on bad losses, and resumes to the very same weights after a kill -9."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from synth.errors import ModelError
from synth.train.arrays import step_generator
from synth.train.checkpoints import checkpoints, load_checkpoint
from synth.train.loop import Recipe, Trainer, learning_rate_factor, read_log

RECIPE = Recipe(
    steps=60, batch_size=8, learning_rate=0.05, warmup=5, validate_every=20, checkpoint_every=5, precision="fp32"
)


class Line:
    """A task small enough to train in a second: fit y = 3 x - 1 with a two-layer network."""

    name = "line"

    def __init__(self, pause: float = 0.0) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
        self.modules = {"net": self.net}
        self.scales: dict[str, float] = {}
        self.pause = pause
        self.poison_at: int | None = None

    def loss(self, step, recipe):
        time.sleep(self.pause)
        x = torch.rand(recipe.batch_size, 1, generator=step_generator(recipe.seed, step)) * 2 - 1
        loss = (self.net(x) - (3 * x - 1)).pow(2).mean()
        return (loss * float("nan") if step == self.poison_at else loss), {"mean_x": x.mean().item()}

    def validate(self):
        x = torch.linspace(-1, 1, 32).unsqueeze(1)
        return {"error": (self.net(x) - (3 * x - 1)).abs().mean().item()}

    def sample(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(self.validate()["error"]))
        return {}


def final_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoints(folder / "checkpoints")[-1])


def test_it_learns_and_logs(tmp_path):
    figures = Trainer(Line(), RECIPE, tmp_path).run()
    log = read_log(tmp_path / "log.jsonl")
    validations = [line["validation_error"] for line in log if "validation_error" in line]
    assert len(validations) == 3
    assert figures["error"] == pytest.approx(validations[-1], abs=1e-6)
    assert validations[-1] < validations[0]
    assert {"loss", "rate", "gradient_norm", "mean_x"} <= log[0].keys()
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == [
        "step-00000055.safetensors",
        "step-00000060.safetensors",
    ]
    assert len(list((tmp_path / "samples").iterdir())) == 3


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path):
    Trainer(Line(), RECIPE, tmp_path / "whole").run()

    def interrupt(step, loss):
        if step == 33:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(Line(), RECIPE, tmp_path / "broken").run(on_step=interrupt)
    Trainer(Line(), RECIPE, tmp_path / "broken").run()
    whole, broken = final_weights(tmp_path / "whole"), final_weights(tmp_path / "broken")
    assert whole.keys() == broken.keys()
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_a_killed_training_ends_with_the_same_weights(tmp_path):
    """kill -9 a real process three times at random moments, then let it finish."""
    Trainer(Line(), RECIPE, tmp_path / "whole").run()
    program = (
        "from test_loop import *; torch.set_num_threads(1);"
        f"Trainer(Line(pause=0.02), RECIPE, Path({str(tmp_path / 'killed')!r})).run()"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    rng = random.Random(4)
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL)
        seen = len(checkpoints(tmp_path / "killed" / "checkpoints"))
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if (tmp_path / "killed" / "log.jsonl").exists() or seen:
                break
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.wait()
    Trainer(Line(), RECIPE, tmp_path / "killed").run()
    whole, killed = final_weights(tmp_path / "whole"), final_weights(tmp_path / "killed")
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    steps = [line["step"] for line in read_log(tmp_path / "killed" / "log.jsonl") if "loss" in line]
    assert steps == sorted(set(steps)), "a step is logged once, however often it was repeated"


def test_a_loss_that_is_not_finite_names_the_last_good_checkpoint(tmp_path):
    task = Line()
    task.poison_at = 12
    with pytest.raises(ModelError, match=r"the loss is nan at step 12.*step-00000010\.safetensors"):
        Trainer(task, RECIPE, tmp_path).run()
    assert all(tensor.isfinite().all() for tensor in final_weights(tmp_path).values())


def test_averaged_weights_stand_in_only_inside_the_block(tmp_path):
    trainer = Trainer(Line(), RECIPE, tmp_path)
    trainer.run()
    before = [parameter.clone() for parameter in trainer.parameters.values()]
    with trainer.averaged():
        assert all(torch.equal(trainer.parameters[name], trainer.average[name]) for name in trainer.parameters)
    assert all(torch.equal(one, other) for one, other in zip(before, trainer.parameters.values(), strict=True))


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    Trainer(Line(), RECIPE, tmp_path).run()
    other = Line()
    other.modules = {"renamed": other.net}
    with pytest.raises(ModelError, match="another model"):
        Trainer(other, RECIPE, tmp_path).run()


def test_a_truncated_checkpoint_is_named(tmp_path):
    Trainer(Line(), RECIPE, tmp_path).run()
    path = checkpoints(tmp_path / "checkpoints")[-1]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match=path.name):
        load_checkpoint(path)


def test_the_learning_rate_warms_up_stays_and_decays():
    recipe = Recipe(steps=1000, batch_size=1, learning_rate=1.0, warmup=100, decay=0.3)
    factors = [learning_rate_factor(step, recipe) for step in range(1000)]
    assert factors[0] == pytest.approx(0.01)
    assert set(factors[100:700]) == {1.0}
    assert all(later < earlier for earlier, later in zip(factors[700:], factors[701:], strict=False))
    assert 0 <= factors[-1] < 1e-4


def test_a_prolonged_training_repeats_the_shorter_one_first():
    recipe = Recipe(steps=1000, prolonged=(400,), batch_size=1, learning_rate=1.0, warmup=100, decay=0.5)
    factors = [learning_rate_factor(step, recipe) for step in range(1000)]
    assert factors[:400] == [learning_rate_factor(step, replace(recipe, steps=400)) for step in range(400)]
    assert factors[400:500] == [1.0] * 100
    assert factors[400:] == [learning_rate_factor(step, replace(recipe, prolonged=())) for step in range(400, 1000)]


def test_a_half_written_log_line_is_passed_over(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"step": 20, "loss": 1.0}) + '\n{"step": 40, "lo')
    assert read_log(path) == [{"step": 20, "loss": 1.0}]
