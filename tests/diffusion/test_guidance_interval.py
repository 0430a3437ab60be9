"""Guidance in a part of the noise schedule only: what diffusers does when it is told to stop, and work really saved."""

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from test_rendering import by_job, difference, in_one_batch_and_alone, job

from synth.errors import InputError
from synth.jobs import Settings
from synth.models.loading import load
from synth.presets import resolve
from synth.rendering import render

MIXED = (
    {}, {"guidance_interval": "0.3-0.8"}, {"guidance_interval": "0.5-1"}, {"guidance_scale": 1.0}, {"steps": 5},
    {"guidance_interval": "0-0.4", "steps": 5, "negative_prompt": "fog"}, {"guidance_interval": "0.001-0.002"},
)  # fmt: skip


@pytest.fixture(params=["sd", "sdxl"])
def model(request, tiny_sd, tiny_sdxl):
    return resolve(str({"sd": tiny_sd, "sdxl": tiny_sdxl}[request.param]), "renderer")


def stop_guiding_after(step: int, names: list[str]):
    """A callback of the kind that diffusers documents for dynamic classifier-free guidance."""

    def stop(pipeline, number, timestep, tensors):
        if number == step - 1:
            pipeline._guidance_scale = 1.0
            tensors |= {name: tensors[name].chunk(2)[-1] for name in names}
        return tensors

    return {"callback_on_step_end": stop, "callback_on_step_end_tensor_inputs": names}


def test_diffusers_makes_the_same_pictures_when_told_to_stop_guiding(model):
    jobs = [job(model, "a red dog", seed, steps=8, guidance_interval="0.55-1", guidance_scale=6.0) for seed in (3, 7)]
    large = "add_time_ids" in load(model, "cpu", "float32")._callback_tensor_inputs
    kind = StableDiffusionXLPipeline if large else StableDiffusionPipeline
    names = ["prompt_embeds", "add_text_embeds", "add_time_ids"] if large else ["prompt_embeds"]
    pipeline = kind.from_pretrained(model.name, use_safetensors=True, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    pipeline.scheduler.set_timesteps(8)
    guided = int((pipeline.scheduler.timesteps >= 550).sum())
    assert 0 < guided < 8
    expected = pipeline(
        ["a red dog"] * 2, generator=[torch.Generator().manual_seed(seed) for seed in (3, 7)], num_inference_steps=8,
        guidance_scale=6.0, height=64, width=64, **stop_guiding_after(guided, names),
    ).images  # fmt: skip
    results = list(render(jobs, device="cpu"))
    assert max(difference(a, b.image) for a, b in zip(expected, results, strict=True)) <= 1
    whole = next(render([job(model, "a red dog", 3, steps=8, guidance_scale=6.0)], device="cpu"))
    assert difference(expected[0], whole.image) > 3


def test_outside_it_the_negative_prompt_is_not_computed(model):
    rows = []
    unet = load(model, "cpu", "float32").unet
    hook = unet.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    try:
        list(render([job(model, seed=seed, steps=10, guidance_interval="0.3-0.8") for seed in range(3)], device="cpu"))
    finally:
        hook.remove()
    assert len(rows) == 10 and set(rows) == {3, 6}
    assert 4 <= rows.count(6) <= 6
    assert [rows[0], rows[-1]] == [3, 3] and rows[rows.index(6) :][: rows.count(6)] == [6] * rows.count(6)


def test_unlike_intervals_share_a_batch_and_nothing_else(model):
    jobs = [job(model, seed=seed, **changes) for seed, changes in enumerate(MIXED)]
    assert max(in_one_batch_and_alone(jobs)) <= 1


def test_strict_pixels_depend_on_nothing_but_the_job(model):
    jobs = [job(model, seed=seed, **changes) for seed, changes in enumerate(MIXED)]
    together = by_job(render(jobs, device="cpu", strict=True))
    alone = by_job(result for one in jobs[1:3] for result in render([one], device="cpu", strict=True))
    assert all(together[key].image.tobytes() == alone[key].image.tobytes() for key in alone)


def test_nowhere_is_no_guidance_and_everywhere_is_all_of_it(model):
    never, none = render(
        [job(model, guidance_interval="0.0001-0.0002"), job(model, guidance_scale=1.0)], device="cpu"
    )  # no timestep lies there
    assert difference(never.image, none.image) <= 1
    assert job(model, guidance_interval="0-1").key == job(model).key


@pytest.mark.parametrize(
    ("text", "normal"), [("0.2-0.9", "0.2-0.9"), (" 0.20 - .9 ", "0.2-0.9"), ("0-1", ""), ("", ""), ("0-0.5", "0-0.5")]
)
def test_it_has_one_spelling(text, normal):
    assert Settings(guidance_interval=text).guidance_interval == normal


@pytest.mark.parametrize(
    "value", ["0.9-0.2", "0.5", "0.5-0.5", "-1-0.5", "0.2-1.1", "nan-1", "1..2-3", "a-b", 0.5, None]
)
def test_what_is_no_interval_is_one_clear_error(value):
    with pytest.raises(InputError, match=r"^guidance_interval: .*such as 0\.2-0\.9"):
        Settings(guidance_interval=value)
