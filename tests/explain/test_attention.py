"""Recorded attention: that of the model's own definition, for the right rows, and without a trace in the pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import Attention as AttentionModule
from diffusers.models.attention_processor import AttnProcessor2_0
from tiny_sd3 import build_tiny_sd3

from synth.errors import InputError
from synth.explain.attention import _Layer, attend, stages
from synth.jobs import Job, Settings
from synth.models.loading import load
from synth.presets import resolve
from synth.rendering import render

SETTINGS = Settings(width=64, height=64, steps=7, guidance_scale=3)
TEXTS = ("a cat", "two dogs, by the sea")


def jobs_for(folder, texts=TEXTS, **changes):
    model = resolve(str(folder), "renderer")
    return [
        Job(phrase=text, prompt=text, seed=seed, settings=SETTINGS.but(**changes), model=model)
        for seed, text in enumerate(texts)
    ]


def recorded(jobs, **how):
    return {result.job.key: (result, attention) for result, attention in attend(jobs, device="cpu", **how)}


class Reference(AttnProcessor2_0):
    """Keeps what diffusers' own `get_attention_scores` gives, a mean over the heads for each call."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = []

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **others):
        heads = [attn.head_to_batch_dim(x) for x in (attn.to_q(hidden_states), attn.to_k(encoder_hidden_states))]
        scores = attn.get_attention_scores(*heads)
        self.seen.append(scores.unflatten(0, (-1, attn.heads)).mean(1))  # (rows, h w, 77)
        return super().__call__(attn, hidden_states, encoder_hidden_states, **others)


@contextmanager
def references(unet) -> Iterator[dict[str, Reference]]:
    before = unet.attn_processors
    mine = {name: Reference() if "attn2" in name else processor for name, processor in before.items()}
    unet.set_attn_processor(dict(mine))  # which empties what it is given
    yield {name.removesuffix(".processor"): item for name, item in mine.items() if isinstance(item, Reference)}
    unet.set_attn_processor(before)


@pytest.mark.parametrize("changes", [{}, {"scheduler": "heun", "steps": 3}, {"guidance_scale": 1.0}])
def test_it_is_what_the_models_own_definition_gives(tiny_sd, changes):
    jobs = jobs_for(tiny_sd, **changes)
    found = recorded(jobs)
    with references(load(jobs[0].model, "cpu", "float32").unet) as seen:
        list(render(jobs, device="cpu"))
    for row, job in enumerate(jobs):
        attention = found[job.key][1]
        assert attention.layers == tuple(seen)
        for layer, reference in enumerate(seen.values()):
            passes = torch.stack(reference.seen)[
                :, -len(jobs) + row, :, : len(attention.spans)
            ].numpy()  # (steps, hw, T)
            assert np.allclose(attention.shares[:, layer], passes.mean(1), atol=1e-5)
            stage = stages(len(passes))
            for number, maps in enumerate(attention.maps[layer]):
                assert np.allclose(maps.reshape(len(maps), -1).T, passes[stage == number].mean(0), atol=1e-5)


def test_pictures_are_the_same_to_the_last_bit_and_the_unet_is_left_as_it_was(tiny_sd):
    jobs = jobs_for(tiny_sd)
    plain = {result.job.key: result.image.tobytes() for result in render(jobs, device="cpu")}
    unet = load(jobs[0].model, "cpu", "float32").unet
    processors = unet.attn_processors
    found = recorded(jobs)
    assert {key: result.image.tobytes() for key, (result, _) in found.items()} == plain
    assert unet.attn_processors == processors
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in unet.modules())


def test_hooks_are_removed_when_the_caller_stops_early(tiny_sd):
    jobs = jobs_for(tiny_sd)
    some = attend(jobs, device="cpu", batch_size=1)
    next(some)
    some.close()
    unet = load(jobs[0].model, "cpu", "float32").unet
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in unet.modules())


def test_self_attention_is_not_recorded(tiny_sd):
    jobs = jobs_for(tiny_sd)
    [(_, attention), *_] = recorded(jobs).values()
    modules = load(jobs[0].model, "cpu", "float32").unet.named_modules()
    crossing = [name for name, module in modules if isinstance(module, AttentionModule) and "attn2" in name]
    assert list(attention.layers) == crossing


def test_neighbours_in_a_batch_do_not_matter(tiny_sd):
    jobs = jobs_for(tiny_sd) + jobs_for(tiny_sd, steps=3) + jobs_for(tiny_sd, guidance_scale=1.0)
    together, alone = recorded(jobs), recorded(jobs, batch_size=1)
    assert together.keys() == alone.keys() == {job.key for job in jobs}
    for key, (_, attention) in together.items():
        other = alone[key][1]
        assert attention.spans == other.spans
        assert np.allclose(attention.shares, other.shares, atol=1e-4)
        assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(attention.maps, other.maps, strict=True))


def test_a_batch_that_ran_out_of_memory_midway_leaves_nothing_behind(tiny_sd):
    jobs = jobs_for(tiny_sd)
    expected, calls = recorded(jobs, batch_size=1), []

    def fail_once(*_):
        calls.append(1)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    hook = load(jobs[0].model, "cpu", "float32").unet.conv_out.register_forward_hook(fail_once)
    try:
        found = recorded(jobs, batch_size=2)
    finally:
        hook.remove()
    for key, (result, attention) in found.items():
        assert "halved" in result.notes[0]
        assert np.array_equal(attention.shares, expected[key][1].shares)


def test_sdxl_has_two_encoders_and_one_sequence_of_tokens(tiny_sdxl):
    jobs = jobs_for(tiny_sdxl)
    pipeline = load(jobs[0].model, "cpu", "float32")
    for job in jobs:
        assert pipeline.tokenizer(job.prompt).input_ids == pipeline.tokenizer_2(job.prompt).input_ids
    plain = {result.job.key: result.image.tobytes() for result in render(jobs, device="cpu")}
    for key, (result, attention) in recorded(jobs).items():
        assert result.image.tobytes() == plain[key]
        assert attention.spans[0] == (0, 0)
        assert [result.job.prompt[low:high] for low, high in attention.spans[1:]] == list(
            result.job.prompt.replace(" ", "")
        )
        assert (attention.shares > 0).all() and (attention.shares.sum(-1) < 1).all()


def test_layers_have_the_shape_of_the_picture(tiny_sd):
    [(_, attention)] = recorded(jobs_for(tiny_sd, ["a cat"], width=128, height=72)).values()
    assert {maps.shape[-2:] for maps in attention.maps} == {(5, 8)}  # 16 x 9 latents, halved once, rounded up


def test_other_pipelines_are_refused_before_they_are_loaded(tmp_path):
    with pytest.raises(InputError, match="only Stable Diffusion 1, 2 and XL"):
        attend(jobs_for(build_tiny_sd3(tmp_path / "sd3")))


def test_stages_are_of_nearly_equal_length():
    for steps in range(1, 60):
        lengths = np.bincount(stages(steps))
        assert len(lengths) == min(steps, 5) and lengths.sum() == steps and np.ptp(lengths) <= 1


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_strict_rows_are_those_of_the_prompts_with_guidance_and_without(tiny_sd, scale):
    """Strict rendering asks the UNet twice whether the job is guided or not."""
    jobs = jobs_for(tiny_sd, guidance_scale=scale)
    plain, strict = recorded(jobs), recorded(jobs, strict=True)
    for key, (_, attention) in plain.items():
        other = strict[key][1]
        assert np.allclose(attention.shares, other.shares, atol=1e-4)
        assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(attention.maps, other.maps, strict=True))


def test_large_products_do_not_overflow_in_half_precision():
    layer = _Layer(SimpleNamespace(heads=1, scale=0.125), tokens=3)
    queries, keys = (torch.full((1, places, 64), 300.0, dtype=torch.float16) for places in (4, 3))
    keys[:, 0] = 200
    found = layer._attention(queries, keys)
    assert found.dtype == torch.float32 and torch.allclose(found, torch.tensor([0.0, 0.5, 0.5]))
