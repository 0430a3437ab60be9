"""Samplers by name."""

import pytest
from diffusers import DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler

from synth.diffusion.schedulers import make_scheduler
from synth.errors import InputError
from synth.jobs import SCHEDULERS

NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_name_makes_a_sampler_with_the_models_noise(name, tmp_path):
    DDIMScheduler(prediction_type="v_prediction", **NOISE).save_pretrained(tmp_path)
    config = DDIMScheduler.from_pretrained(tmp_path, local_files_only=True).config  # as a model brings it along
    scheduler = make_scheduler(name, config)
    scheduler.set_timesteps(4)
    assert scheduler.config.prediction_type == "v_prediction"
    assert scheduler.config.beta_end == 0.012
    assert len(scheduler.timesteps) >= 4


def test_euler_is_the_discrete_one():
    assert type(make_scheduler("euler", {})) is EulerDiscreteScheduler


def test_karras_sigmas_come_from_the_name_alone():
    karras = make_scheduler("dpm++2m-karras", {}).config
    assert karras.use_karras_sigmas
    assert not make_scheduler("dpm++2m", karras).config.use_karras_sigmas
    assert not make_scheduler("euler", karras).config.use_karras_sigmas


def test_latents_are_not_clipped_because_a_model_came_with_another_sampler():
    assert make_scheduler("ddim", PNDMScheduler(**NOISE).config).config.clip_sample is False
    assert make_scheduler("ddpm", EulerDiscreteScheduler(**NOISE).config).config.clip_sample is False


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'euler-a'"):
        make_scheduler("euler_a", {})
