"""The training loop: any task, any device, exact resume.

What happens at step s depends on the recipe, the weights and s alone: a task draws its batch and its noise from
generators seeded by (recipe.seed, s). A training that was killed and resumed therefore takes the same steps as one that
was not, and no generator state needs saving.

The loop knows nothing about pictures or words; a task knows nothing about optimizers, averages or files.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from tqdm import tqdm

from synth.errors import ModelError
from synth.train.checkpoints import checkpoints, load_checkpoint, save_checkpoint


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a task is optimised.

    learning_rate: peak, after `warmup` steps; it stays there until the last `decay` share of the steps, when it falls
        to zero along a cosine ("warm-up, stable, decay", Hu et al. 2024), so a training can be prolonged from its
        plateau.
    prolonged: steps at which earlier, shorter trainings ended before this one took them up again; the learning rate
        fell to zero there too, so a recipe with them tells all of what was done.
    ema: decay of the weight average that is validated and exported (0: none).
    precision: "fp32", "bf16" (autocast) or "auto": bf16 where the hardware multiplies it natively, else fp32.
    validate_every, checkpoint_every: in steps.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup: int = 100
    decay: float = 0.3
    prolonged: tuple[int, ...] = ()
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema: float = 0.999
    precision: str = "auto"
    validate_every: int = 500
    checkpoint_every: int = 500
    seed: int = 0


class Task(Protocol):
    """What is trained: some modules, a loss, a way to see how good they are."""

    name: str
    modules: dict[str, nn.Module]
    scales: dict[str, float]
    """Learning-rate factor of each module, 1 where it is not named."""

    def loss(self, step: int, recipe: Recipe) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of the batch of this step, and what else is worth logging."""

    def validate(self) -> dict[str, float]:
        """Figures on held-out data, with the averaged weights in place; always the same data and noise."""

    def sample(self, path: Path) -> dict[str, float]:
        """Write a picture of what the averaged weights can do to `path` (a PNG); figures read off it, if any."""


def native_bf16(device: str) -> bool:
    """Whether bf16 matrix products run on the hardware's own units: any recent GPU, CPUs with AMX."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and bool(torch.backends.cpu.get_cpu_capability()) and torch.cpu._is_amx_tile_supported()


class Trainer:
    """Runs a task to the end of its recipe in a folder, resuming whatever is there.

    folder: receives log.jsonl (a line every 20 steps and at each validation), checkpoints/ and samples/.
    """

    LOG_EVERY = 20

    def __init__(self, task: Task, recipe: Recipe, folder: Path, *, device: str = "cpu") -> None:
        self.task, self.recipe, self.folder, self.device = task, recipe, Path(folder), device
        for module in task.modules.values():
            module.to(device=device, memory_format=torch.channels_last).train()
        self.parameters = {
            f"{name}/{parameter_name}": parameter
            for name, module in task.modules.items()
            for parameter_name, parameter in module.named_parameters()
            if parameter.requires_grad
        }
        self.average = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.optimizer = torch.optim.AdamW(self._groups(), betas=recipe.betas, fused=True)
        self.bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and native_bf16(device))
        self.step = 0
        self.log_path = self.folder / "log.jsonl"

    def run(self, on_step: Callable[[int, float], None] | None = None) -> dict[str, float]:
        """Train until the recipe's last step; the last validation's figures.

        Ctrl-C writes a checkpoint before it is raised again. A loss that is not finite raises a ModelError that names
        the last good checkpoint.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        figures: dict[str, float] = {}
        bar = tqdm(total=self.recipe.steps, initial=self.step, desc=self.task.name, unit="step", mininterval=5)
        try:
            while self.step < self.recipe.steps:
                loss = self._train_step()
                bar.update()
                if on_step:
                    on_step(self.step, loss)
                last = self.step == self.recipe.steps
                if last or self.step % self.recipe.validate_every == 0:
                    figures = self._validate()
                    bar.set_postfix({name: f"{value:.4g}" for name, value in list(figures.items())[:4]})
                if last or self.step % self.recipe.checkpoint_every == 0:
                    self.save()
        except KeyboardInterrupt:
            self.save()
            raise
        finally:
            bar.close()
        return figures or self._last_figures()

    def _train_step(self) -> float:
        started = time.perf_counter()
        rate = self._set_learning_rate()
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self.bf16):
            loss, facts = self.task.loss(self.step, self.recipe)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), self.recipe.clip_norm)
        value = loss.item()
        if not math.isfinite(value):
            good = (checkpoints(self.folder / "checkpoints") or ["none"])[-1]
            raise ModelError(
                f"{self.task.name}: the loss is {value} at step {self.step}; the last good checkpoint is {good}"
            )
        self.optimizer.step()
        self._update_average()
        self.step += 1
        if self.step % self.LOG_EVERY == 0:
            seconds = time.perf_counter() - started
            self._log({"loss": value, "rate": rate, "gradient_norm": norm.item(), "seconds": seconds, **facts})
        return value

    def _groups(self) -> list[dict[str, Any]]:
        """One optimizer group for each module, weight decay on matrices only."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.parameters.items():
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

    def _validate(self) -> dict[str, float]:
        with self.averaged(), torch.no_grad():
            figures = self.task.validate()
            figures |= self.task.sample(self.folder / "samples" / f"step-{self.step:08d}.png")
        self._log({f"validation_{name}": value for name, value in figures.items()})
        return figures

    def _log(self, facts: dict[str, float]) -> None:
        with self.log_path.open("a", encoding="utf-8") as file:
            file.write(
                json.dumps({"step": self.step} | {name: round(value, 6) for name, value in facts.items()}) + "\n"
            )

    def _last_figures(self) -> dict[str, float]:
        found = [line for line in read_log(self.log_path) if any(name.startswith("validation_") for name in line)]
        return (
            {name.removeprefix("validation_"): value for name, value in found[-1].items() if name != "step"}
            if found
            else {}
        )

    def save(self) -> Path:
        """Write a checkpoint of this step."""
        tensors = {f"weights/{name}": parameter for name, parameter in self.parameters.items()}
        tensors |= {f"average/{name}": tensor for name, tensor in self.average.items()}
        for name, parameter in self.parameters.items():
            state = self.optimizer.state.get(parameter, {})
            tensors |= {f"adam/{moment}/{name}": tensor for moment, tensor in state.items()}
        return save_checkpoint(self.folder / "checkpoints", self.step, tensors, {"recipe": asdict(self.recipe)})

    @torch.no_grad()
    def _resume(self) -> None:
        found = checkpoints(self.folder / "checkpoints")
        if not found:
            return
        tensors, facts = load_checkpoint(found[-1])
        missing = [name for name in self.parameters if f"weights/{name}" not in tensors]
        if missing:
            raise ModelError(f"{found[-1]} is of another model (no {missing[0]}); train in another folder")
        for name, parameter in self.parameters.items():
            parameter.copy_(tensors[f"weights/{name}"])
            self.average[name].copy_(tensors[f"average/{name}"])
            self.optimizer.state[parameter] = {
                moment: tensors[f"adam/{moment}/{name}"].to("cpu" if moment == "step" else self.device)
                for moment in ("step", "exp_avg", "exp_avg_sq")
                if f"adam/{moment}/{name}" in tensors
            }
        self.step = facts["step"]
        self._forget_log_after(self.step)

    def _forget_log_after(self, step: int) -> None:
        kept = [line for line in read_log(self.log_path) if line["step"] <= step]
        unfinished = self.log_path.with_suffix(".part")
        unfinished.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        unfinished.replace(self.log_path)


def learning_rate_factor(step: int, recipe: Recipe) -> float:
    """Warm-up, plateau, cosine decay: the share of the peak learning rate at a step, 0 to 1."""
    warm = min(1.0, (step + 1) / max(1, recipe.warmup))
    end = next((end for end in sorted(recipe.prolonged) if step < end < recipe.steps), recipe.steps)
    start = end * (1 - recipe.decay)
    if step < start:
        return warm
    return warm * 0.5 * (1 + math.cos(math.pi * (step - start) / max(1.0, end - start)))


def read_log(path: Path) -> list[dict[str, float]]:
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
