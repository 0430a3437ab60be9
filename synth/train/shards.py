"""Weights of which each process holds a share (PyTorch's FSDP2): put together to be saved, spread to be resumed.

Without sharding every function here hands back what it got.
"""

from collections.abc import Iterable

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor


def blocks(whole: nn.Module) -> list[str]:
    """Names of the classes whose modules are gathered one at a time: what the networks say they are made of."""
    named = {name for part in whole.modules() for name in getattr(part, "_no_split_modules", None) or ()}
    return sorted(named & {type(part).__name__ for part in whole.modules()})


def gathered(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor of which this process may hold only a share."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def spread_like(example: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """A whole tensor on the device of `example`, in its memory layout, shared out as that is."""
    if isinstance(example, DTensor):
        return distribute_tensor(tensor.to(example.device), example.device_mesh, example.placements)
    return torch.empty_like(example).copy_(tensor)  # fused optimizers take equal layouts for granted


def forget_gathered(whole: nn.Module) -> None:
    """Let go of gathered weights whose shares have changed; the next pass gathers them anew."""
    for module in whole.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def put_together(modules: Iterable[nn.Module], *, keep: bool) -> None:
    """Give modules whole weights, on the CPU, for what they shared with others; they cannot be trained any more.

    All processes have to call it. keep: whether this one needs the weights; else it is left without.
    """
    made: dict[nn.Parameter, nn.Parameter] = {}  # so that what is tied stays tied
    for part in (part for module in modules for part in module.modules()):
        for name, parameter in part.named_parameters(recurse=False):
            if isinstance(parameter, DTensor) and parameter not in made:
                made[parameter] = nn.Parameter(gathered(parameter.detach()).to("cpu" if keep else "meta"))
            if parameter in made:
                setattr(part, name, made[parameter])
