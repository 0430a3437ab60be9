"""One process or several: who computes which samples, and what they agree on. accelerate does the work.

Start several with `torchrun --nproc_per_node N -m synth train ...`, or with accelerate and one of the files in
configs/, whose paths `synth train config` prints:

    accelerate launch --config_file $(synth train config fsdp) --num_processes 8 -m synth train unet ...

A batch belongs to the step and not to a process, so any number of processes takes the same steps. With FSDP each
holds a share of the weights (shards.py); checkpoints are whole all the same, and any number of processes resumes them.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator, DistributedType, InitProcessGroupKwargs
from torch import nn
from torch.distributed.nn.functional import all_gather

from synth.errors import InputError
from synth.train.recipe import Recipe
from synth.train.shards import blocks, gathered, put_together

Batch = Mapping[str, Any]


class Whole(nn.Module):
    """A task's modules as one, so that processes can average its gradients and spread its weights."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(modules)
        self._no_split_modules = blocks(self)  # the name that accelerate looks for

    def forward(self, work: Any) -> Any:
        """Whatever `work()` computes with the modules, between what accelerate does before and after."""
        return work()


class Processes:
    """This process among its like. count: how many there are; main: whether this one writes files and talks."""

    def __init__(self, device: str) -> None:
        patience = InitProcessGroupKwargs(timeout=timedelta(hours=6))  # others wait while one computes what is cached
        self.accelerator = Accelerator(cpu=device == "cpu", device_placement=False, kwargs_handlers=[patience])
        self.count, self.index = self.accelerator.num_processes, self.accelerator.process_index
        self.main = self.accelerator.is_main_process
        self.device = device if self.count == 1 else str(self.accelerator.device)
        self.sharded = self.accelerator.distributed_type == DistributedType.FSDP

    def check(self, recipe: Recipe) -> None:
        """InputError unless a batch falls into equal parts, and the weights are shared out in a way known here."""
        kind = self.accelerator.distributed_type
        if kind == DistributedType.DEEPSPEED or (self.sharded and not self.accelerator.is_fsdp2):
            remedy = "give accelerate one of the configurations that `synth train config` names"
            raise InputError("distributed_type", kind.value, remedy)
        parts = self.count * recipe.accumulate
        if recipe.batch_size % parts:
            remedy = f"use a multiple of {parts} ({self.count} processes x {recipe.accumulate} parts each)"
            raise InputError("batch_size", recipe.batch_size, remedy)

    def parts(self, batch: Batch, rounds: int) -> Iterator[Batch]:
        """This process's samples of a batch, in `rounds` equal parts."""
        size = len(next(iter(batch.values()))) // (self.count * rounds)
        for number in range(rounds):
            start = (self.index * rounds + number) * size
            yield {name: values[start : start + size] for name, values in batch.items()}

    def without_sync(self, whole: nn.Module, last: bool) -> AbstractContextManager:
        """A block after whose backward pass gradients are summed over the processes only if it is the last."""
        return nullcontext() if last else self.accelerator.no_sync(whole)

    def clip(self, parameters: list[nn.Parameter], longest: float) -> float:
        """Shorten the gradient to at most `longest`; how long it was."""
        return gathered(self.accelerator.clip_grad_norm_(parameters, longest)).item()

    def mean(self, *values: float) -> list[float]:
        """The mean over all processes of each of some numbers."""
        if self.count == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        return self.accelerator.reduce(tensor, "mean").tolist()

    def of_all(self, value: int) -> list[int]:
        """The number that each process has."""
        if self.count == 1:
            return [value]
        return self.accelerator.gather(torch.tensor([value], device=self.device)).tolist()

    def main_first(self) -> AbstractContextManager:
        """A block that the main process goes through first, so that the others find what it has computed."""
        return self.accelerator.main_process_first()

    def wait(self) -> None:
        """Until all processes are here."""
        self.accelerator.wait_for_everyone()

    def collected(self, tensors: Iterable[tuple[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """Named tensors, whole and on the CPU, in the main process; one after the other, to fit beside the training."""
        found = {}
        for name, tensor in tensors:
            whole = gathered(tensor.detach())
            if self.main:
                found[name] = whole.to("cpu")
        return found

    def leave(self, modules: Iterable[nn.Module]) -> None:
        """Wait for all; then the main process has whole modules and goes on alone."""
        self.wait()
        put_together(modules, keep=self.main)


def everyones(rows: torch.Tensor) -> torch.Tensor:
    """The rows of all processes, one below the other; gradients flow back to where they came from."""
    if not (dist.is_available() and dist.is_initialized() and torch.is_grad_enabled()):
        return rows
    return torch.cat(all_gather(rows.contiguous()))
