"""The training loop learns, logs, stops on bad losses, and resumes to the very same weights after a kill -9."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from synth.errors import InputError, ModelError, TrainError
from synth.train.arrays import step_generator
from synth.train.checkpoints import best_first, checkpoints, load_checkpoint
from synth.train.loop import Trainer, learning_rate_factor, read_log
from synth.train.recipe import Recipe

RECIPE = Recipe(
    steps=60, batch_size=8, learning_rate=0.05, warmup=5, validate_every=20, checkpoint_every=5, precision="fp32"
)


class Line:
    """A task small enough to train in a second: fit y = 3 x - 1 with three layers, the middle one a convolution."""

    name, metric, higher = "line", "error", False

    def __init__(self, pause: float = 0.0) -> None:
        torch.manual_seed(0)
        picture = nn.Unflatten(1, (2, 2, 2))
        self.net = nn.Sequential(
            nn.Linear(1, 8), nn.Tanh(), picture, nn.Conv2d(2, 2, 3, padding=1), nn.Flatten(), nn.Linear(8, 1)
        )
        self.modules = {"net": self.net}
        self.scales: dict[str, float] = {}
        self.pause = pause
        self.poison_at: int | None = None
        self.poison = float("nan")

    def draw(self, step, recipe):
        time.sleep(self.pause)
        x = torch.rand(recipe.batch_size, 1, generator=step_generator(recipe.seed, step)) * 2 - 1
        return {"x": x, "y": (3 * x - 1) * (self.poison if step == self.poison_at else 1.0)}

    def loss(self, batch):
        loss = (self.net(batch["x"]) - batch["y"]).pow(2).mean()
        return loss, {"mean_x": batch["x"].mean().item()}

    def validate(self):
        x = torch.linspace(-1, 1, 32).unsqueeze(1)
        return {"error": (self.net(x) - (3 * x - 1)).abs().mean().item()}

    def sample(self):
        return Image.new("L", (8, 8)), {}


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
            os.kill(os.getpid(), signal.SIGINT)

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
    with pytest.raises(TrainError, match=r"the loss is nan at step 12.*step-00000010\.safetensors"):
        Trainer(task, RECIPE, tmp_path).run()
    assert all(tensor.isfinite().all() for tensor in final_weights(tmp_path).values())


def test_the_checkpoint_that_a_bad_loss_came_of_is_not_called_good(tmp_path):
    task = Line()
    task.poison_at = 10
    with pytest.raises(TrainError, match=r"the loss is nan at step 10.*last good checkpoint is .*step-00000005\.safe"):
        Trainer(task, RECIPE, tmp_path).run()


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    trainer = Trainer(Line(), RECIPE, tmp_path)

    def spoil(step, loss):
        if step == 15:
            next(iter(trainer.parameters.values())).data[0] = float("inf")

    with pytest.raises(TrainError, match=r"not finite came of step 15, and are not saved.*step-00000010\.safetensors"):
        trainer.run(on_step=spoil)
    assert [path.stem for path in checkpoints(tmp_path / "checkpoints")] == ["step-00000005", "step-00000010"]


def test_a_validation_that_is_not_finite_stops_it(tmp_path):
    task, figures = Line(), iter([0.5, float("nan")])
    task.validate = lambda: {"error": next(figures)}
    with pytest.raises(TrainError, match=r"the validated error is nan at step 40; .*step-00000035\.safetensors"):
        Trainer(task, RECIPE, tmp_path).run()
    assert [line["validation_error"] for line in read_log(tmp_path / "log.jsonl") if "validation_error" in line] == [
        0.5
    ]


def test_a_spike_stops_before_it_does_harm(tmp_path):
    task = Line()
    task.poison_at, task.poison = 33, 1e4
    with pytest.raises(TrainError, match=r"the loss is .* at step 33, where .* is usual.*step-00000030\.safetensors"):
        Trainer(task, replace(RECIPE, spike=50.0), tmp_path).run()


def test_sigterm_saves_the_step_and_a_second_one_waits_for_nothing(tmp_path):
    def ask(times):
        return lambda step, loss: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(times)] if step == 7 else None

    with pytest.raises(KeyboardInterrupt):
        Trainer(Line(), RECIPE, tmp_path / "once").run(on_step=ask(1))
    assert checkpoints(tmp_path / "once" / "checkpoints")[-1].name == "step-00000008.safetensors"
    with pytest.raises(KeyboardInterrupt):
        Trainer(Line(), RECIPE, tmp_path / "twice").run(on_step=ask(2))
    assert checkpoints(tmp_path / "twice" / "checkpoints")[-1].name == "step-00000005.safetensors"


def test_accumulated_parts_take_the_step_of_the_whole_batch(tmp_path):
    Trainer(Line(), RECIPE, tmp_path / "whole").run()
    Trainer(Line(), replace(RECIPE, accumulate=4), tmp_path / "parts").run()
    whole, parts = final_weights(tmp_path / "whole"), final_weights(tmp_path / "parts")
    assert all(torch.allclose(whole[name], parts[name], atol=1e-5) for name in whole)


def test_the_best_checkpoints_stay_beside_the_newest(tmp_path):
    figures = iter([3.0, 1.0, 2.0, 4.0, 5.0, 6.0])
    task = Line()
    task.validate = lambda: {"error": next(figures)}
    Trainer(task, replace(RECIPE, validate_every=10, checkpoint_every=60, keep_best=2, keep_last=1), tmp_path).run()
    found = checkpoints(tmp_path / "checkpoints")
    assert [path.stem for path in found] == ["step-00000020", "step-00000030", "step-00000060"]
    assert [path.stem for path in best_first(found, "error", False)[:2]] == ["step-00000020", "step-00000030"]


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    Trainer(Line(), replace(RECIPE, steps=10), tmp_path).run()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit is then an OSError
    try:
        size = checkpoints(tmp_path / "checkpoints")[-1].stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 400, limit[1]))
        with pytest.raises(TrainError, match=r"cannot be written .*free some space.*step-00000010\.safetensors"):
            Trainer(Line(), RECIPE, tmp_path).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert load_checkpoint(checkpoints(tmp_path / "checkpoints")[-1])[1]["step"] == 10
    assert not list((tmp_path / "checkpoints").glob("*.part"))


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    with pytest.raises(InputError, match="accumulate: 3 cannot be used; use a number that divides batch_size"):
        replace(RECIPE, accumulate=3)


def test_averaged_weights_stand_in_only_inside_the_block(tmp_path):
    trainer = Trainer(Line(), RECIPE, tmp_path)
    trainer.run()
    before = [parameter.clone() for parameter in trainer.parameters.values()]
    with trainer.averaged():
        assert all(torch.equal(trainer.parameters[name], trainer.average[name]) for name in trainer.parameters)
    assert all(torch.equal(one, other) for one, other in zip(before, trainer.parameters.values(), strict=True))


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    Trainer(Line(), RECIPE, tmp_path).run()
    renamed, wider = Line(), Line()
    renamed.modules = {"renamed": renamed.net}
    wider.modules = {"net": nn.Sequential(nn.Linear(1, 9), nn.Tanh(), nn.Linear(9, 1))}
    for other, what in ((renamed, "no renamed/0.weight"), (wider, r"\(8, 1\) where \(9, 1\) fits as net/0.weight")):
        with pytest.raises(ModelError, match=f"another model .it has {what}"):
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
