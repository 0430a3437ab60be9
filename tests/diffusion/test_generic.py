"""Pipelines of other families, rendered by their own code: SD 3, which predicts a flow, and one that predicts noise."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusion3Pipeline, StableDiffusionPAGPipeline
from tiny_sd3 import build_tiny_sd3

from synth.errors import InputError
from synth.jobs import Job, ModelRef, Settings
from synth.models.families import check_settings
from synth.models.loading import load
from synth.presets import advised, resolve
from synth.rendering import NOT_FINITE, render
from synth.writing.tokens import renderer_tokenizer

SMALL = Settings(scheduler="native", steps=3, width=64, height=64)


def called(folder, name):
    """The folder under the name of another pipeline class."""
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": name}))
    return folder


@pytest.fixture(scope="module")
def sd3(tmp_path_factory) -> ModelRef:
    return resolve(str(build_tiny_sd3(tmp_path_factory.mktemp("models") / "tiny-sd3")), "renderer")


@pytest.fixture(scope="module")
def pag(tiny_sd, tmp_path_factory) -> ModelRef:
    """Perturbed-attention guidance: the parts of Stable Diffusion 2 in a pipeline that Synth has no loop for."""
    folder = shutil.copytree(tiny_sd, tmp_path_factory.mktemp("models") / "tiny-pag")
    return resolve(str(called(folder, "StableDiffusionPAGPipeline")), "renderer")


def job(model: ModelRef, prompt: str = "a cat", seed: int = 0, **changes: object) -> Job:
    return Job(phrase="a cat", prompt=prompt, seed=seed, settings=SMALL.but(**changes), model=model)


def difference(a, b) -> int:
    return int(np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max())


def plain(pipeline, jobs, **options):
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(job.seed) for job in jobs]
    prompts = [job.prompt for job in jobs]
    return pipeline(prompts, generator=generators, num_inference_steps=3, height=64, width=64, **options).images


def test_sd3_makes_the_pictures_that_its_pipeline_makes(sd3):
    jobs = [job(sd3, "a cat", 3), job(sd3, "a red dog", 7)]
    expected = plain(
        StableDiffusion3Pipeline.from_pretrained(sd3.name), jobs, guidance_scale=jobs[0].settings.guidance_scale
    )
    results = list(render(jobs))
    assert [(result.status, result.batch_size) for result in results] == [("done", 2)] * 2
    assert max(difference(a, b.image) for a, b in zip(expected, results, strict=True)) == 0
    assert difference(expected[0], expected[1]) > 20


def test_another_scheduler_and_every_setting_reach_a_pipeline_that_knows_them(pag):
    options = {"guidance_scale": 6.0, "guidance_rescale": 0.7, "eta": 0.5}
    pipeline = StableDiffusionPAGPipeline.from_pretrained(pag.name)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    (expected,) = plain(pipeline, [job(pag)], negative_prompt=["fog"], **options)
    kept = load(pag, "cpu", "float32")
    own = kept.scheduler
    (result,) = render([job(pag, scheduler="euler", negative_prompt="fog", **options)])
    assert difference(expected, result.image) == 0
    assert kept.scheduler is own


def test_a_picture_is_the_same_alone_and_in_a_batch(sd3):
    mixed = [("a cat", 0, {}), ("a dog", 1, {}), ("a cat", 4, {"guidance_scale": 1.0}), ("a house", 2, {})]
    together = list(render(job(sd3, prompt, seed, **changes) for prompt, seed, changes in mixed))
    assert sorted(result.batch_size for result in together) == [1, 3, 3, 3]
    for result in together:
        assert difference(result.image, next(render([result.job])).image) <= 2


def test_every_setting_changes_the_picture(sd3):
    changes = ({}, {"steps": 4}, {"guidance_scale": 8.0}, {"negative_prompt": "fog"}, {"width": 96})
    pictures = [np.asarray(result.image) for result in render(job(sd3, **change) for change in changes)]
    assert len({picture.tobytes() for picture in pictures}) == len(changes)


def test_a_job_that_fails_does_not_stop_the_others(sd3):
    bad, good = render([job(sd3, width=72), job(sd3)])  # SD 3 needs a multiple of 16
    assert bad.status == "failed" and "divisible by 16" in bad.error
    assert good.status == "done"


def test_nan_is_never_a_picture(sd3):
    pipeline = load(sd3, "cpu", "float32")
    hook = pipeline.transformer.register_forward_hook(lambda _, __, output: (output[0] * float("nan"),))
    (result,) = render([job(sd3)])
    hook.remove()
    assert (result.status, result.image, result.error) == ("failed", None, NOT_FINITE)


def test_steps_are_reported(sd3):
    seen = []
    jobs = [job(sd3, seed=seed) for seed in range(2)]
    list(render(jobs, on_step=lambda jobs, step, steps, latents: seen.append((len(jobs), step, steps, len(latents)))))
    assert seen == [(2, step, 3, 2) for step in (1, 2, 3)]


def test_tokens_are_counted_by_the_tokenizer_that_reads_furthest(sd3):
    (result,) = render([job(sd3, "a" * 100, steps=1)])
    assert (result.prompt_tokens, result.truncated) == (101, "")  # 75 in CLIP, 255 in T5
    assert renderer_tokenizer(sd3.name).model_max_length == 512


def test_its_own_call_says_how_a_model_likes_to_be_used(sd3):
    assert advised(sd3.name) == Settings(scheduler="native", steps=28, guidance_scale=7.0, width=64, height=64)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"scheduler": "euler"}, "scheduler"), ({"guidance_rescale": 0.5}, "guidance_rescale"), ({"eta": 0.5}, "eta")],
)
def test_what_a_model_cannot_honour_is_refused_before_anything_is_rendered(sd3, changes, field):
    with pytest.raises(InputError, match=f"^{field}: .* a StableDiffusion3Pipeline"):
        render([job(sd3), job(sd3, **changes)])


def test_strict_mode_is_refused(sd3):
    with pytest.raises(InputError, match="^strict: .* only Stable Diffusion 1, 2 and XL"):
        render([job(sd3)], strict=True)


def test_a_negative_prompt_that_would_be_ignored_is_refused(sd3, tmp_path):
    flux = called(shutil.copytree(sd3.name, tmp_path / "flux"), "FluxPipeline")
    check_settings(flux, SMALL)
    with pytest.raises(InputError, match="^negative_prompt: .* a FluxPipeline"):
        check_settings(flux, SMALL.but(negative_prompt="fog"))
