"""Steps of every kind in one batch, and pictures that are drawn over others."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, StableDiffusionImg2ImgPipeline
from PIL import Image
from test_rendering import by_job, difference, in_one_batch_and_alone, job

from synth.diffusion.schedulers import schedule
from synth.errors import InputError
from synth.jobs import SCHEDULERS, Settings
from synth.models.loading import load
from synth.presets import resolve
from synth.records.pictures import pixel_digest
from synth.rendering import render

NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": "v_prediction"}


@pytest.fixture(scope="module")
def sd(tiny_sd):
    return resolve(str(tiny_sd), "renderer")


@pytest.fixture(scope="module")
def sdxl(tiny_sdxl):
    return resolve(str(tiny_sdxl), "renderer")


@pytest.fixture(scope="module")
def config():
    return dict(DDIMScheduler(**NOISE, clip_sample=False).config) | {"_class_name": "DDIMScheduler"}


def picture(seed: int = 0, mode: str = "RGB", size: int = 64) -> Image.Image:
    smooth = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(smooth).resize((size, size), Image.Resampling.BICUBIC).convert(mode)


def half_mask(size: int = 64) -> Image.Image:
    mask = Image.new("L", (size, size), 0)
    mask.paste(255, (size // 2, 0, size, size))
    return mask


def over(model, source: Image.Image, mask: Image.Image | None = None, **changes):
    digests = {"source": pixel_digest(source)} | ({"mask": pixel_digest(mask)} if mask else {})
    return replace(job(model, **changes), **digests)


@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_unlike_steps_share_a_batch_and_nothing_else(model, request):
    model = request.getfixturevalue(model)
    ways = [
        {"steps": 2}, {"steps": 5, "guidance_scale": 1.0}, {"scheduler": "euler", "steps": 3}, {"steps": 2},
        {"scheduler": "heun", "steps": 2}, {"scheduler": "ddpm", "steps": 4}, {"respacing": "2,1"},
    ]  # fmt: skip
    jobs = [job(model, seed=seed, **way) for seed, way in enumerate(ways)]
    assert max(in_one_batch_and_alone(jobs)) <= 1


def test_like_steps_fill_whole_batches_first(sd):
    jobs = [job(sd, seed=seed, steps=2 + seed % 2) for seed in range(5)]
    results = list(render(jobs, device="cpu", batch_size=2))
    steps = [result.job.settings.steps for result in results]
    assert steps == [2, 2, 3, 3, 2]


def test_steps_are_told_for_those_that_take_them_together(sd):
    seen = []
    jobs = [job(sd, steps=2), job(sd, steps=3)]
    list(render(jobs, device="cpu", on_step=lambda jobs, step, steps, latents: seen.append((len(jobs), step, steps))))
    assert seen == [(1, 1, 3), (1, 1, 2), (1, 2, 3), (1, 2, 2), (1, 3, 3)]


@pytest.mark.parametrize("name", sorted(set(SCHEDULERS) - {"dpm++2m-karras", "dpm++2m-sde-karras", "lcm", "tcd"}))
def test_every_scheduler_visits_what_it_is_told_to(name, config):
    scheduler, told = schedule(Settings(scheduler=name, timesteps="900,600,250,50"), config)
    assert len(told) == len(scheduler.timesteps) >= 4
    assert (told[0], told[-1]) == (900, 50)
    assert (told.diff() < 1e-3).all()


@pytest.mark.parametrize("name", ["dpm++2m-karras", "lcm", "tcd"])
def test_schedulers_that_choose_for_themselves_say_so(name, config):
    with pytest.raises(InputError, match=f"respacing: .*{name.replace('+', '.')} chooses for itself"):
        schedule(Settings(scheduler=name, respacing="ddim50"), config)


def test_noise_levels_are_those_of_diffusers(config):
    own = EulerDiscreteScheduler.from_config(config)
    own.set_timesteps(sigmas=[10.0, 4.0, 1.5, 0.4, 0.0])
    scheduler, told = schedule(Settings(scheduler="euler", sigmas="10,4,1.5,0.4"), config)
    assert scheduler.sigmas.numpy() == pytest.approx(own.sigmas.numpy(), rel=1e-3)
    assert told.numpy() == pytest.approx(own.timesteps.numpy(), abs=0.5)


def test_timesteps_are_those_of_diffusers(config):
    own = EulerDiscreteScheduler.from_config(config)
    own.set_timesteps(timesteps=[900, 600, 250, 50])
    scheduler, told = schedule(Settings(scheduler="euler", timesteps="900,600,250,50"), config)
    assert scheduler.sigmas.numpy() == pytest.approx(own.sigmas.numpy(), rel=1e-3)
    assert told.tolist() == own.timesteps.tolist()


@pytest.mark.parametrize("scheduler", ["ddim", "euler", "dpm++2m"])
def test_a_spacing_by_name_and_by_its_timesteps_draw_the_same(scheduler, sd):
    named = job(sd, scheduler=scheduler, steps=4, timestep_spacing="trailing")
    config = load(sd, "cpu", "float32").scheduler.config
    visits = [round(float(step)) for step in schedule(named.settings, config)[1]]
    listed = job(sd, scheduler=scheduler, timesteps=visits)
    one, other = render([named, listed], device="cpu", batch_size=1)
    assert difference(one.image, other.image) <= 2  # the last step ends at no noise here, and at timestep 0 there


def test_more_timesteps_than_the_model_knows_are_refused_before_it_is_loaded(sd):
    with pytest.raises(InputError, match="timesteps: '1000,5' cannot be used; begin below 1000"):
        render([job(sd, timesteps="1000,5")])


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("scheduler", ["ddim", "euler", "dpm++2m"])
def test_drawing_over_a_picture_is_what_diffusers_does(scheduler, strength, sd):
    source, settings = picture(), {"scheduler": scheduler, "steps": 6, "strength": strength}
    drawn = over(sd, source, **settings)
    [result] = render([drawn], device="cpu", pictures={drawn.source: source})

    pipeline = load(sd, "cpu", "float32")
    theirs = StableDiffusionImg2ImgPipeline(**pipeline.components, requires_safety_checker=False)
    theirs.scheduler = schedule(drawn.settings, pipeline.scheduler.config)[0]
    expected = theirs(
        prompt=drawn.prompt, image=source, strength=strength, num_inference_steps=6,
        guidance_scale=drawn.settings.guidance_scale, generator=torch.Generator().manual_seed(0), output_type="pil",
    ).images[0]  # fmt: skip
    assert difference(result.image, expected) <= 1


def test_the_weaker_the_closer_to_the_source(sd):
    source = picture()
    jobs = [over(sd, source, steps=10, strength=strength) for strength in (0.1, 0.5, 1.0)]
    results = by_job(render(jobs, device="cpu", pictures={jobs[0].source: source}))
    apart = [difference(results[one.key].image, source) for one in jobs]
    assert len({results[one.key].image.tobytes() for one in jobs}) == 3
    assert apart[0] <= apart[2]


@pytest.mark.parametrize("scheduler", ["ddim", "euler-a", "dpm++2m"])
def test_what_the_mask_protects_stays_to_the_pixel(scheduler, sd):
    source, mask = picture(), half_mask()
    drawn = over(sd, source, mask, scheduler=scheduler, steps=4, strength=0.9)
    [result] = render([drawn], device="cpu", pictures={drawn.source: source, drawn.mask: mask})
    before, after = np.asarray(source, int), np.asarray(result.image, int)
    assert (before[:, :32] == after[:, :32]).all()
    assert np.abs(before - after)[:, 36:].mean() > 3


def test_pictures_drawn_over_others_share_batches_with_those_that_are_not(sd):
    source, mask = picture(), half_mask()
    jobs = [job(sd, steps=3), over(sd, source, steps=4), over(sd, source, mask, steps=4, strength=0.5)]
    pictures = {jobs[2].source: source, jobs[2].mask: mask}
    assert max(in_one_batch_and_alone(jobs, pictures=pictures)) <= 1


def test_strict_mode_holds_for_them_too(sd):
    source, mask = picture(), half_mask()
    jobs = [over(sd, source, mask, seed=seed, steps=3) for seed in range(3)]
    how = {"device": "cpu", "strict": True, "pictures": {jobs[0].source: source, jobs[0].mask: mask}}
    together = by_job(render(jobs, **how))
    [alone] = render(jobs[2:], **how)
    assert together[jobs[2].key].image.tobytes() == alone.image.tobytes()


def test_a_picture_that_is_not_there_or_of_another_size_is_one_clear_error(sd):
    source = picture()
    drawn = over(sd, source)
    with pytest.raises(InputError, match="source: .* give the picture with these pixels"):
        render([drawn])
    large = picture(size=128)
    with pytest.raises(InputError, match="make it 64 x 64 pixels"):
        render([over(sd, large)], pictures={pixel_digest(large): large})
