"""The training loop: any task, any device, any number of processes, exact resume.

What happens at step s depends on the recipe, the weights and s alone: a task draws its batch and its noise from
generators seeded by (recipe.seed, s). A training that was killed and resumed therefore takes the same steps as one that
was not, and no generator state needs saving.

The loop knows nothing about pictures or words; a task knows nothing about optimizers, averages, processes or files.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from synth.errors import ModelError, TrainError
from synth.models.devices import native_bf16
from synth.train.checkpoints import checkpoints, last_good, load_checkpoint, read_facts, rotate, save_checkpoint, sweep
from synth.train.processes import Batch, Processes, Whole
from synth.train.recipe import Recipe
from synth.train.shards import forget_gathered, spread_like
from synth.train.stopping import Stop

Figures = dict[str, float]


class Task(Protocol):
    """What is trained: some modules, a loss, a way to see how good they are."""

    name: str
    modules: dict[str, nn.Module]
    scales: dict[str, float]
    """Learning-rate factor of each module, 1 where it is not named."""
    metric: str
    """The figure of `validate` that says how good it is."""
    higher: bool
    """Whether more of the metric is better."""

    def draw(self, step: int, recipe: Recipe) -> Batch:
        """All samples of a step, on the CPU; each value has `recipe.batch_size` entries."""

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Figures]:
        """The loss of some samples, a mean over them, and what else is worth logging."""

    def validate(self) -> Figures:
        """Figures on held-out data, with the averaged weights in place; always the same data and noise."""

    def sample(self) -> tuple[Image.Image | None, Figures]:
        """A picture of what the averaged weights can do, or None, and figures read off it, if any."""


def uses_bf16(recipe: Recipe, device: str) -> bool:
    """What the recipe's precision comes to on a device."""
    return recipe.precision == "bf16" or (recipe.precision == "auto" and native_bf16(device))


class Trainer:
    """Runs a task to the end of its recipe in a folder, resuming whatever is there.

    folder: receives log.jsonl (a line every 20 steps, more often in short trainings, and at each validation),
        checkpoints/ and samples/.
    facts: written into each checkpoint. on_line: called with each line of the log, in the main process.
    """

    UNSETTLED = 20  # steps after which it is known what is usual
    REMEMBERED = 0.95  # of that, from one step to the next

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        folder: Path,
        *,
        device: str = "cpu",
        facts: dict[str, Any] | None = None,
        on_line: Callable[[Figures], None] | None = None,
    ) -> None:
        self.task, self.recipe, self.folder = task, recipe, Path(folder)
        self.processes = Processes(device)
        self.processes.check(recipe)
        self.device, self.facts, self.on_line = self.processes.device, facts or {}, on_line
        layout = torch.contiguous_format if self.processes.sharded else torch.channels_last  # shards take no other
        for module in task.modules.values():
            module.to(device=self.device, memory_format=layout).train()
        optimizer = torch.optim.AdamW(self._groups(), betas=recipe.betas, fused=True)
        self.whole, self.optimizer = self.processes.accelerator.prepare(Whole(task.modules), optimizer)
        self.parameters = self._trained()
        self.average = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.bf16 = uses_bf16(recipe, self.device)
        self.step, self.figures, self.usual = 0, {}, {}
        self.log_every = min(20, max(1, recipe.steps // 50))
        self.log_path = self.folder / "log.jsonl"

    def run(self, on_step: Callable[[int, float], None] | None = None) -> Figures:
        """Train until the recipe's last step; the last validation's figures.

        Ctrl-C and SIGTERM write a checkpoint after the step and raise KeyboardInterrupt. A loss that is not finite, and
        a spike, raise a TrainError that names the last good checkpoint.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        bar = tqdm(
            total=self.recipe.steps, initial=self.step, desc=self.task.name, unit="step", mininterval=5,
            disable=not self.processes.main,
        )  # fmt: skip
        with Stop() as stop, bar, no_denormals():
            while self.step < self.recipe.steps:
                loss, stopped = self._train_step(stop.asked)
                bar.update()
                if on_step:
                    on_step(self.step, loss)
                self._validate_and_save(bar, stopped)
                if stopped:
                    raise KeyboardInterrupt
        return self.figures or self._last_figures()

    def _validate_and_save(self, bar: tqdm, stopped: bool) -> None:
        """Do what is due after a step."""
        last = self.step == self.recipe.steps
        self.figures = {}
        if last or self.step % self.recipe.validate_every == 0:
            self.figures = self._validate()
            bar.set_postfix({name: f"{value:.4g}" for name, value in list(self.figures.items())[:4]})
        best_so_far = self.figures and self.recipe.keep_best
        if last or stopped or best_so_far or self.step % self.recipe.checkpoint_every == 0:
            self.save()

    def _train_step(self, stop: bool) -> tuple[float, bool]:
        """One step; its loss, and whether any process was asked to stop."""
        started = time.perf_counter()
        rate = self._set_learning_rate()
        loss, facts = self._backward()
        norm = self.processes.clip(list(self.parameters.values()), self.recipe.clip_norm)
        loss, stopped = self.processes.mean(loss, float(stop))
        self._check(loss, norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._update_average()
        self.step += 1
        if self.step % self.log_every == 0:
            seconds = time.perf_counter() - started
            self._log({"loss": loss, "rate": rate, "gradient_norm": norm, "seconds": seconds, **facts})
        return loss, stopped > 0

    def _backward(self) -> tuple[float, Figures]:
        """Gradients of this step's batch; the mean loss of this process's share of it."""
        batch, rounds = self.task.draw(self.step, self.recipe), self.recipe.accumulate
        torch.manual_seed(hash((self.recipe.seed, self.step)))  # for dropout, where a network has it
        total = 0.0
        for number, part in enumerate(self.processes.parts(batch, rounds), start=1):
            with self.processes.without_sync(self.whole, last=number == rounds):
                with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self.bf16):
                    loss, facts = self.whole(lambda part=part: self.task.loss(part))
                self.processes.accelerator.backward(loss / rounds)
            total += loss.item() / rounds
        return total, facts

    def _check(self, loss: float, norm: float) -> None:
        """TrainError if the loss or the gradient says that this step would do harm."""
        found = {"loss": loss, "length of the gradient": norm}
        limit = self.recipe.spike if self.step >= self.UNSETTLED else 0
        for name, value in found.items():
            usual = self.usual.get(name, value)
            if not math.isfinite(value) or (limit and value > limit * usual):
                raise self._gone_wrong(f"the {name} is {value:.4g} at step {self.step}, where {usual:.4g} is usual")
            self.usual[name] = self.REMEMBERED * usual + (1 - self.REMEMBERED) * value

    def _gone_wrong(self, what: str) -> TrainError:
        good = last_good(self.folder / "checkpoints", self.step)
        remedy = "look at the data, or start in another folder with a lower learning rate"
        return TrainError(f"{self.task.name}: {what}; the last good checkpoint is {good}: {remedy}")

    def _trained(self) -> dict[str, nn.Parameter]:
        return {
            f"{name}/{parameter_name}": parameter
            for name, module in self.task.modules.items()
            for parameter_name, parameter in module.named_parameters()
            if parameter.requires_grad
        }

    def _groups(self) -> list[dict[str, Any]]:
        """One optimizer group for each module, weight decay on matrices only."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self._trained().items():
            scale = self.task.scales.get(name.split("/")[0], 1.0)
            decay = self.recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((scale, decay), []).append(parameter)
        return [
            {"params": members, "weight_decay": decay, "scale": scale, "lr": self.recipe.learning_rate * scale}
            for (scale, decay), members in groups.items()
        ]

    def _set_learning_rate(self) -> float:
        rate = self.recipe.learning_rate * learning_rate_factor(self.step, self.recipe)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        return rate

    @torch.no_grad()
    def _update_average(self) -> None:
        # A warm-up of the decay lets the average forget the random start (as in TensorFlow's moving averages).
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.values()), list(self.parameters.values()), 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The averaged weights in place of the trained ones, in evaluation mode, for the length of the block."""
        trained = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self._put(self.average)
        for module in self.task.modules.values():
            module.eval()
        try:
            yield
        finally:
            self._put(trained)
            for module in self.task.modules.values():
                module.train()

    @torch.no_grad()
    def _put(self, values: dict[str, torch.Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
        forget_gathered(self.whole)

    def _validate(self) -> Figures:
        figures: Figures = {}
        sharded = self.processes.sharded  # then weights are of use only together
        if self.processes.main or sharded:
            run = self.whole if sharded else lambda work: work()
            with self.averaged(), torch.no_grad():
                figures = run(self.task.validate)
                picture, drawn = run(self.task.sample)
            figures |= drawn
            if picture and self.processes.main:
                path = self.folder / "samples" / f"step-{self.step:08d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path)
        bad = [f"{name} is {value:.4g}" for name, value in figures.items() if not math.isfinite(value)]
        if bad:
            raise self._gone_wrong(f"the validated {' and '.join(bad)} at step {self.step}")
        self._log({f"validation_{name}": value for name, value in figures.items()})
        self.processes.wait()
        return figures

    def _log(self, facts: Figures) -> None:
        if not self.processes.main:
            return
        line = {"step": self.step} | {name: float(f"{value:.6g}") for name, value in facts.items()}
        with self.log_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self.on_line:
            self.on_line(line)

    def _last_figures(self) -> Figures:
        found = [line for line in read_log(self.log_path) if any(name.startswith("validation_") for name in line)]
        return (
            {name.removeprefix("validation_"): value for name, value in found[-1].items() if name != "step"}
            if found
            else {}
        )

    def save(self) -> None:
        """Write a checkpoint of this step, and remove those that need not stay."""
        tensors = self.processes.collected(self._tensors())
        if not self.processes.main:
            return
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise self._gone_wrong(f"weights that are not finite came of step {self.step}, and are not saved")
        folder = self.folder / "checkpoints"
        facts = {"task": self.task.name, "recipe": asdict(self.recipe), "usual": self.usual, "figures": self.figures}
        save_checkpoint(folder, self.step, tensors, facts | self.facts)
        rotate(
            folder, keep_last=self.recipe.keep_last, keep_best=self.recipe.keep_best,
            metric=self.task.metric, higher=self.task.higher,
        )  # fmt: skip

    def _tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """All that a step changes, by the names in a checkpoint."""
        for name, parameter in self.parameters.items():
            yield f"weights/{name}", parameter
            yield f"average/{name}", self.average[name]
            for moment, tensor in self.optimizer.state.get(parameter, {}).items():
                yield f"adam/{moment}/{name}", tensor

    def _resume(self) -> None:
        found = checkpoints(self.folder / "checkpoints")
        for path in found:
            read_facts(path)  # of one that is damaged the user hears now, and not when old ones are removed
        if found:
            self._restore(found[-1])
        self._check_all_are_here()
        if self.processes.main:
            sweep(self.folder / "checkpoints")
            self._forget_log_after(self.step)

    def _check_all_are_here(self) -> None:
        """TrainError if some processes found another checkpoint than others."""
        steps = self.processes.of_all(self.step)
        if len(set(steps)) > 1:
            raise TrainError(
                f"{self.task.name}: the processes would go on from different steps ({', '.join(map(str, steps))}); "
                f"let all machines see the same {self.folder / 'checkpoints'}, or copy it to each"
            )

    @torch.no_grad()
    def _restore(self, path: Path) -> None:
        """Weights, averages, optimizer and step as a checkpoint has them."""
        tensors, facts = load_checkpoint(path)
        self._check_shapes(path, tensors)
        for name, parameter in self.parameters.items():
            parameter.copy_(spread_like(parameter, tensors[f"weights/{name}"]))
            self.average[name].copy_(spread_like(parameter, tensors[f"average/{name}"]))
            self.optimizer.state[parameter] = {
                moment: tensors[key].to(parameter.device) if moment == "step" else spread_like(parameter, tensors[key])
                for moment in ("step", "exp_avg", "exp_avg_sq")
                if (key := f"adam/{moment}/{name}") in tensors
            }
        self.step, self.usual = facts["step"], facts.get("usual", {})

    def _check_shapes(self, path: Path, tensors: dict[str, torch.Tensor]) -> None:
        """ModelError unless the checkpoint is of a model like this one."""
        for name, parameter in self.parameters.items():
            found = tensors.get(f"weights/{name}")
            if found is None or found.shape != parameter.shape:
                what = "has no" if found is None else f"has {tuple(found.shape)} where {tuple(parameter.shape)} fits as"
                raise ModelError(f"{path} is of another model (it {what} {name}); train in another folder")

    def _forget_log_after(self, step: int) -> None:
        kept = [line for line in read_log(self.log_path) if line["step"] <= step]
        unfinished = self.log_path.with_suffix(".part")
        unfinished.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        unfinished.replace(self.log_path)


@contextmanager
def no_denormals() -> Iterator[None]:
    """A block in which numbers too small for their format are zero: as moments decay CPUs would become slow on them."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)  # it holds for all of the process


def learning_rate_factor(step: int, recipe: Recipe) -> float:
    """Warm-up, plateau, cosine decay: the share of the peak learning rate at a step, 0 to 1."""
    warm = min(1.0, (step + 1) / max(1, recipe.warmup))
    end = next((end for end in sorted(recipe.prolonged) if step < end < recipe.steps), recipe.steps)
    start = end * (1 - recipe.decay)
    if step < start:
        return warm
    return warm * 0.5 * (1 + math.cos(math.pi * (step - start) / max(1.0, end - start)))


def read_log(path: Path) -> list[Figures]:
    """The lines of a training log; a half-written last line, left by a kill, is passed over."""
    if not path.exists():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines
