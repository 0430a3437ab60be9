"""Films: what they record is checked against the samplers of diffusers, on models of every shape."""

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler
from tiny_diffusion import build_tiny_sd

from synth import presets
from synth.diffusion.courses import Course
from synth.diffusion.denoising import decode
from synth.errors import InputError
from synth.explain.film import Film, Frame, Studio, expected, kept_at, kept_shares
from synth.explain.film_figures import (
    distances,
    film_strip,
    film_strips,
    latent_channels,
    parted,
    parting_curve,
)
from synth.jobs import Job, Settings
from synth.rendering import render

SMALL = Settings(width=64, height=64, steps=6)


def jobs_of(model, *settings, prompt="a red lighthouse", seed=0):
    reference = presets.resolve(str(model), "renderer")
    return [Job(phrase=prompt, prompt=prompt, seed=seed, settings=each, model=reference) for each in settings]


@pytest.fixture(scope="module", params=["v_prediction", "epsilon", "sample"])
def tiny(request, tmp_path_factory):
    """An SD folder for each kind of prediction."""
    return build_tiny_sd(tmp_path_factory.mktemp("sd") / request.param, prediction_type=request.param)


@pytest.fixture(scope="module")
def bundled():
    """A studio of the bundled model, and films of two prompts from one noise, without and with guidance."""
    settings = Settings(steps=8)
    jobs = jobs_of("vignettes", settings, settings.but(guidance_scale=1.0))
    jobs += jobs_of("vignettes", settings, prompt="a blue windmill at night")
    studio = Studio(jobs[0].model)
    return studio, studio.film(jobs)


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
def test_expected_is_what_the_samplers_of_diffusers_say(prediction):
    noise = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "prediction_type": prediction}
    ddim = DDIMScheduler(clip_sample=False, **noise)
    euler = EulerDiscreteScheduler(**noise)
    generator = torch.Generator().manual_seed(0)
    latents, predicted = torch.randn(2, 1, 4, 8, 8, generator=generator)
    for scheduler in (ddim, euler) if prediction != "sample" else (ddim,):
        scheduler.set_timesteps(10)
        for timestep in scheduler.timesteps:
            given = scheduler.scale_model_input(latents, timestep)
            found = scheduler.step(predicted, timestep, latents).pred_original_sample
            kept = kept_at(kept_shares(scheduler.config | {"_class_name": "DDIMScheduler"}), float(timestep))
            torch.testing.assert_close(expected(given, predicted, kept, prediction), found, rtol=1e-3, atol=1e-3)


def test_shares_between_timesteps_lie_between_theirs():
    shares = kept_shares(DDIMScheduler(rescale_betas_zero_snr=True).config)
    assert kept_at(shares, 500) == pytest.approx(shares[500])
    assert shares[501] < kept_at(shares, 500.5) < shares[500]
    assert shares[-1] == 2**-24


@pytest.mark.parametrize("scheduler", ["ddim", "euler", "dpm++2m", "heun", "unipc", "native"])
def test_each_film_shows_what_was_rendered(tiny, scheduler):
    [job] = jobs_of(tiny, SMALL.but(scheduler=scheduler))
    studio = Studio(job.model)
    [film] = studio.film([job])
    [result] = render([job])
    [picture] = studio.develop([film.finished])
    assert np.abs(np.asarray(picture, int) - np.asarray(result.image, int)).max() <= 1
    assert len(film) == (11 if scheduler == "heun" else 6)
    kept = [frame.kept for frame in film.frames]
    assert kept == sorted(kept) and all(frame.latents.shape == film.finished.shape for frame in film.frames)


def test_the_first_latents_are_the_noise_and_the_last_expectation_is_the_picture(bundled):
    studio, (film, unguided, other) = bundled
    noise = torch.randn(film.finished.shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(film.frames[0].latents, noise)
    torch.testing.assert_close(film.frames[-1].expected, film.finished, rtol=1e-4, atol=1e-4)
    nearer = [float((frame.expected - film.finished).square().mean()) for frame in film.frames]
    assert nearer[-1] < nearer[4] < nearer[0]


def test_jobs_of_unlike_steps_are_filmed_together_as_alone(tiny_sd):
    jobs = jobs_of(tiny_sd, SMALL, SMALL.but(scheduler="euler", steps=4), SMALL.but(respacing="3,2"), SMALL)
    studio = Studio(jobs[0].model)
    films = studio.film(jobs)
    assert [len(film) for film in films] == [6, 4, 5, 6]
    for job, film in zip(jobs, films, strict=True):
        [alone] = studio.film([job])
        torch.testing.assert_close(film.finished, alone.finished, rtol=1e-3, atol=1e-3)
        for frame, other in zip(film.frames, alone.frames, strict=True):
            assert frame.timestep == other.timestep
            torch.testing.assert_close(frame.expected, other.expected, rtol=1e-2, atol=1e-2)


def test_filming_leaves_rendering_as_it_was(tiny_sd):
    step = Course.step
    [job] = jobs_of(tiny_sd, SMALL)
    Studio(job.model).film([job])
    assert Course.step is step
    with pytest.raises(InputError, match="timesteps"):
        Studio(job.model).film(jobs_of(tiny_sd, SMALL.but(timesteps="2000,500")))
    assert Course.step is step


def test_sdxl_is_filmed_by_the_same_code(tiny_sdxl):
    [job] = jobs_of(tiny_sdxl, SMALL.but(scheduler="euler"))
    studio = Studio(job.model)
    [film] = studio.film([job])
    assert film_strip(studio, film, shown=3).png().startswith(b"\x89PNG")
    torch.testing.assert_close(film.frames[-1].expected, film.finished, rtol=1e-3, atol=1e-3)


def test_developing_is_decoding(tiny_sd):
    [job] = jobs_of(tiny_sd, SMALL)
    studio = Studio(job.model)
    latents = [torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(10)]
    pictures = studio.develop(latents)
    whole = (decode(studio.pipeline, torch.stack(latents)) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    assert len(pictures) == 10
    assert np.abs(np.stack(pictures).astype(int) - whole).max() <= 1


def made_film(distances_to_other, expectations, end=1.0):
    """A film whose latents and expectations lie at given places on a line."""
    frames = [
        Frame(float(1000 - place), 0.5, torch.full((1, 2, 2), a), torch.full((1, 2, 2), b))
        for place, (a, b) in enumerate(zip(distances_to_other, expectations, strict=True))
    ]
    [job] = jobs_of("vignettes", Settings())
    return Film(job, frames, torch.full((1, 2, 2), end))


def test_distances_are_shares_of_that_of_the_finished_pictures():
    still = made_film([0.0] * 4, [0.0] * 4, end=0.0)
    moving = made_film([0.0, 1.0, 2.5, 3.0], [8.0, 4.0, 1.0, 4.0], end=4.0)
    table = distances(still, moving)
    assert list(table["latents"]) == pytest.approx([0, 0.25, 0.625, 0.75])
    assert list(table["expected"]) == pytest.approx([2, 1, 0.25, 1])
    assert parted(table["latents"]) == 3
    assert parted(table["expected"]) == 4, "they come close again, so they have not parted before"
    assert parted(pd.Series([0.1, 0.2])) is None
    assert parting_curve(still, moving).axes[0].get_title(loc="left") == "They part at step 3 of 4"


def test_films_that_cannot_be_compared_are_refused():
    still = made_film([0.0] * 4, [0.0] * 4)
    with pytest.raises(InputError, match="differ"):
        distances(still, still)
    with pytest.raises(InputError, match="one number of steps"):
        distances(still, made_film([0.0] * 3, [0.0] * 3))


def test_strips_hold_the_frames_that_were_chosen(bundled):
    studio, films = bundled
    assert films[0].chosen(3) == [0, 4, 7] and films[0].chosen(20) == list(range(8))
    one = film_strip(studio, films[0], shown=3)
    said = {text.get_text() for text in one.axes[0].texts}
    assert {"finished", "step 1, t 999"} <= said
    rows = film_strips(studio, films, ["with", "without", "another"], "Three", shown=3)
    assert rows.get_size_inches()[1] > one.get_size_inches()[1]
    assert "another" in {text.get_text() for text in rows.axes[0].texts}


def test_guidance_moves_the_picture_and_prompts_part_from_one_noise(bundled):
    _, (film, unguided, other) = bundled
    for second in (unguided, other):
        table = distances(film, second)
        assert table["latents"][0] == 0 and table["expected"][0] > 0
        assert 1 < parted(table["latents"]) < len(film)


def test_the_latents_channels_are_shown(bundled):
    studio, films = bundled
    said = {text.get_text() for text in latent_channels(studio, films[0]).axes[0].texts}
    assert {"decoded", "channel 8"} <= said
    assert any("24 times fewer" in text for text in said)


def test_models_that_hide_their_steps_are_refused(tmp_path):
    from tiny_sd3 import build_tiny_sd3

    model = presets.resolve(str(build_tiny_sd3(tmp_path / "sd3")), "renderer")
    with pytest.raises(InputError, match="does not show its steps"):
        Studio(model)
