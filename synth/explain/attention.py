"""What each pixel attends to: the cross-attention of Stable Diffusion's UNet, recorded while it renders.

The measure is that of DAAM (Tang et al. 2023, "What the DAAM: Interpreting Stable Diffusion Using Cross Attention"):
the attention of the rows that follow the prompt, over all heads, layers and steps. Two things differ: the middle block
counts too, and heads are averaged instead of summed, so that a pixel's attention to all tokens is 1.

Nothing in the UNet is replaced. Hooks on the projections to queries and keys see the numbers that its own attention is
about to use, so that a picture is the same to the last bit whether it is recorded or not.

Notation: B pictures, T tokens, h x w the size of a layer.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from diffusers.models.attention_processor import Attention as AttentionModule
from transformers import PreTrainedTokenizerBase

from synth.diffusion.courses import steps_alike, within
from synth.errors import InputError
from synth.jobs import Job, Result, check_choice
from synth.models.devices import DTYPES, choose_device, choose_dtype
from synth.models.families import StableDiffusion, is_stable_diffusion, pipeline_class
from synth.models.loading import check_model, configs, load
from synth.rendering import render

STAGES = 5  # parts of the way from noise to picture, for which maps are kept


def stages(steps: int) -> np.ndarray:
    """Which stage each step belongs to, (steps,), counted from 0: 5 of nearly equal length, or one a step if fewer.

    >>> stages(10).tolist(), stages(3).tolist()
    ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], [0, 1, 2])
    """
    return np.unique(np.arange(steps) * STAGES // steps, return_inverse=True)[1]


@dataclass(frozen=True)
class Attention:
    """What the pixels of one picture attended to, from 0 to 1. Token 0 begins the text, the prompt's own follow.

    spans: where each token stands in the prompt, (first character, one after the last).
    layers: their names in the UNet. maps: for each layer (stages, T, h, w), where each stage is the mean of its steps.
    shares: (steps, layers, T), the mean over the pixels, at every step. Those of the tokens that follow the prompt's
    are left out: they are what is missing to 1. steps counts the UNet's evaluations.
    """

    spans: tuple[tuple[int, int], ...]
    layers: tuple[str, ...]
    maps: tuple[np.ndarray, ...]
    shares: np.ndarray


def attend(
    jobs: Iterable[Job], *, device: str = "auto", dtype: str = "auto", batch_size: int | None = None, **how: Any
) -> Iterator[tuple[Result, Attention | None]]:
    """Render `jobs` and yield each result with its attention, which is None where the picture failed.

    device, dtype, batch_size, how: as in `synth.rendering.render`, whose errors it raises before anything is rendered;
    InputError also for a model that has no cross-attention of its own (only Stable Diffusion 1, 2 and XL).
    """
    jobs = list(jobs)
    for model in dict.fromkeys(job.model for job in jobs):
        kind = pipeline_class(configs(check_model(model)))
        if not is_stable_diffusion(kind):
            raise InputError("model", model.name, f"only Stable Diffusion 1, 2 and XL show it, not a {kind.__name__}")
    device = choose_device(device)
    how |= {"device": device, "dtype": check_choice("dtype", dtype, DTYPES), "batch_size": batch_size}
    return _attend(_alike(jobs), how)


def _attend(groups: list[list[Job]], how: dict[str, Any]) -> Iterator[tuple[Result, Attention | None]]:
    for jobs in groups:
        exact = choose_dtype(how["dtype"], how["device"], jobs[0].settings.precision)
        pipeline = load(jobs[0].model, how["device"], exact)
        with Recorder(pipeline, jobs, strict=how.get("strict", False)) as recorder:
            for result in render(jobs, on_step=recorder.next_step, **how):
                yield result, recorder.found.pop(result.job.key, None)


def _alike(jobs: list[Job]) -> list[list[Job]]:
    """The jobs in groups of one model, precision and size that take the same steps, and are guided at the same ones."""
    groups: dict[object, list[Job]] = {}
    for job in jobs:
        settings = job.settings
        how = settings.width, settings.height, settings.precision, settings.guidance_interval
        groups.setdefault((job.model, how, steps_alike(job), settings.guidance_scale > 1), []).append(job)
    return list(groups.values())


class Recorder:
    """Records a UNet's cross-attention within a `with` block, and leaves no trace in it afterwards.

    jobs: alike in size, steps and when they are guided. strict: as they are rendered, which then guides all rows, also
    where the scale is 1. next_step: to be given to `render` as `on_step`.
    found: by the keys of the jobs, what was recorded of the pictures that have had all their steps.
    """

    def __init__(self, pipeline: StableDiffusion, jobs: Sequence[Job], *, strict: bool = False) -> None:
        modules = {
            name: module for name, module in pipeline.unet.named_modules()
            if isinstance(module, AttentionModule) and module.is_cross_attention
        }  # fmt: skip
        self.unet, self.settings = pipeline.unet, jobs[0].settings
        self.guided = strict or self.settings.guidance_scale > 1
        self.total = pipeline.scheduler.config.num_train_timesteps
        self.spans = {job.key: _spans(pipeline.tokenizer, job.prompt) for job in jobs}
        tokens = max(map(len, self.spans.values()))
        self.layers = {name: _Layer(module, tokens) for name, module in modules.items()}
        self.found: dict[str, Attention] = {}
        self._hooks, self._timestep, self._step = ExitStack(), math.inf, 0

    def __enter__(self) -> Self:
        self._hooks.enter_context(self.unet.register_forward_pre_hook(self._begin_pass))
        for layer in self.layers.values():
            self._hooks.enter_context(layer.module.to_q.register_forward_hook(layer.see_queries))
            self._hooks.enter_context(layer.module.to_k.register_forward_hook(layer.see_keys))
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.close()

    def next_step(self, jobs: Sequence[Job], step: int, steps: int, latents: torch.Tensor) -> None:
        """Count a step; after the last one, keep what was recorded of `jobs`."""
        self._step = step
        for layer in self.layers.values():
            layer.stage = step * STAGES // steps
        if step == steps:
            self._keep(jobs)

    def _begin_pass(self, unet: torch.nn.Module, inputs: tuple[torch.Tensor, torch.Tensor, ...]) -> None:
        """Tell the layers what is coming. A rising timestep is a new batch: the one before may have failed midway."""
        latents, timesteps = inputs[:2]
        timestep = float(timesteps.max())
        begins = self._step == 0 or timestep > self._timestep
        self._timestep, self._step = timestep, 0 if begins else self._step
        guided = self.guided and within(self.settings, timestep / self.total)
        rows = len(latents) // 2 if guided else len(latents)
        for layer in self.layers.values():
            if begins:
                layer.forget()
            layer.rows, layer.size = rows, tuple(latents.shape[-2:])

    def _keep(self, jobs: Sequence[Job]) -> None:
        layers = list(self.layers.values())
        maps = [layer.maps() for layer in layers]  # (stages, B, T, h, w) each
        shares = torch.stack([torch.stack(layer.shares) for layer in layers], dim=1).cpu().numpy()  # (steps, L, B, T)
        for row, job in enumerate(jobs):
            spans = self.spans[job.key]
            kept = tuple(item[:, row, : len(spans)].copy() for item in maps)
            self.found[job.key] = Attention(spans, tuple(self.layers), kept, shares[:, :, row, : len(spans)].copy())
        self._step = 0


def _spans(tokenizer: PreTrainedTokenizerBase, prompt: str) -> tuple[tuple[int, int], ...]:
    """Where the tokens that the text encoder reads stand in the prompt; the one that begins the text is empty."""
    read = tokenizer(prompt, truncation=True, return_offsets_mapping=True, verbose=False)
    return tuple(read.offset_mapping[:-1])


class _Layer:
    """Adds up the attention of one layer, at its own resolution, in float32, one sum for each stage."""

    def __init__(self, module: AttentionModule, tokens: int) -> None:
        self.module, self.tokens = module, tokens
        self.rows, self.size = 0, (0, 0)
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.stage, self.shares = 0, []
        self._sums: dict[int, torch.Tensor] = {}
        self._counts: dict[int, int] = {}

    def see_queries(self, module: torch.nn.Module, inputs: Any, queries: torch.Tensor) -> None:
        """Hold the queries (rows, h w, D) until their keys are there."""
        self._queries = queries

    def see_keys(self, module: torch.nn.Module, inputs: Any, keys: torch.Tensor) -> None:
        """Add the attention of the last rows, those with the prompts, given the keys (rows, 77, D)."""
        attention = self._attention(self._queries[-self.rows :], keys[-self.rows :])[..., : self.tokens]
        self._queries = None
        self.shares.append(attention.mean(1))
        if self.stage in self._sums:
            self._sums[self.stage] += attention
        else:
            self._sums[self.stage] = attention.clone()
        self._counts[self.stage] = self._counts.get(self.stage, 0) + 1

    def maps(self) -> np.ndarray:
        """The means of the stages, (stages, B, T, h, w)."""
        means = torch.stack([total / self._counts[stage] for stage, total in self._sums.items()])
        return means.mT.unflatten(-1, self._shape(means.shape[-2])).cpu().numpy()

    def _attention(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """The mean over the heads, (B, h w, 77), in float32."""
        heads = self.module.heads
        queries = queries.unflatten(-1, (heads, -1)).transpose(1, 2) * self.module.scale  # (B, heads, h w, d)
        keys = keys.unflatten(-1, (heads, -1)).transpose(1, 2)
        return (queries.float() @ keys.float().mT).softmax(-1).mean(1)  # in float16 some models' products overflow

    def _shape(self, pixels: int) -> tuple[int, int]:
        """h and w of this layer: every level of the UNet halves the one above, rounding up."""
        height, width = self.size
        while height * width > pixels:
            height, width = (height + 1) // 2, (width + 1) // 2
        return height, width
