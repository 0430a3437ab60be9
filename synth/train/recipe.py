"""How a task is optimised. Standard library only, so that options can be made of it without torch."""

from dataclasses import dataclass

from synth.errors import InputError
from synth.jobs import MAX_SEED, check_choice, check_number, check_whole

PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a task is optimised; every value is checked on construction.

    steps: of the optimiser, 1 to 10 million.
    batch_size: samples of a step, over all processes, 1 to 65,536.
    accumulate: parts that each process computes its samples in, one after the other, to save memory, 1 to 1024.
    learning_rate: peak, after the warm-up, 0 to 10.
    warmup: steps over which the learning rate rises to its peak.
    decay: last share of the steps over which the learning rate falls to zero along a cosine; 1 is the whole training
        ("warm-up, stable, decay", Hu et al. 2024, may be prolonged from its plateau).
    prolonged: steps at which earlier, shorter trainings ended before this one took them up again; the learning rate
        fell to zero there too, so a recipe with them tells all of what was done.
    betas: of AdamW, two numbers from 0 to 0.999999.
    weight_decay: of AdamW, on matrices only, 0 to 10.
    clip_norm: longest gradient that a step follows; longer ones are shortened to it.
    spike: a step whose loss or gradient is so many times what is usual ends the training before it does harm; 0 lets
        it pass.
    ema: decay of the weight average that is validated and exported, 0 to 0.999999; 0 averages nothing.
    precision: fp32, bf16 (autocast), or auto: bf16 where the hardware multiplies it natively, else fp32.
    validate_every: steps from one validation to the next; the last step is always validated.
    checkpoint_every: steps from one checkpoint to the next; the last step always leaves one.
    keep_last: newest checkpoints that stay, 1 to 1000.
    keep_best: checkpoints that stay because they were validated best, 0 to 1000.
    seed: of every random choice.
    """

    steps: int
    batch_size: int
    accumulate: int = 1
    learning_rate: float
    warmup: int = 100
    decay: float = 0.3
    prolonged: tuple[int, ...] = ()
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    spike: float = 0.0
    ema: float = 0.999
    precision: str = "auto"
    validate_every: int = 500
    checkpoint_every: int = 500
    keep_last: int = 2
    keep_best: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("steps", 1, 10_000_000),
            ("batch_size", 1, 65_536),
            ("accumulate", 1, 1024),
            ("warmup", 0, 10_000_000),
            ("validate_every", 1, 10_000_000),
            ("checkpoint_every", 1, 10_000_000),
            ("keep_last", 1, 1000),
            ("keep_best", 0, 1000),
            ("seed", 0, MAX_SEED),
        ):
            check_whole(name, getattr(self, name), low, high)
        for name, low, high in (
            ("learning_rate", 0.0, 10.0),
            ("decay", 0.0, 1.0),
            ("weight_decay", 0.0, 10.0),
            ("clip_norm", 1e-9, 1e9),
            ("spike", 0.0, 1e9),
            ("ema", 0.0, 0.999999),
        ):
            object.__setattr__(self, name, check_number(name, getattr(self, name), low, high))
        if len(self.betas) != 2:
            raise InputError("betas", self.betas, "give two numbers, such as [0.9, 0.99]")
        for beta in self.betas:
            check_number("betas", beta, 0.0, 0.999999)
        for step in self.prolonged:
            check_whole("prolonged", step, 1, 10_000_000)
        check_choice("precision", self.precision, PRECISIONS)
        if self.batch_size % self.accumulate:
            remedy = f"use a number that divides batch_size ({self.batch_size})"
            raise InputError("accumulate", self.accumulate, remedy)
