"""Pictures: the same as plain diffusers makes, whatever the batch; and what happens when one fails."""

import shutil

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from PIL import Image

from synth import rendering
from synth.diffusion.embedding import Embedder
from synth.errors import InputError, ModelError
from synth.jobs import MAX_SEED, SCHEDULERS, Job, ModelRef, Result, Settings
from synth.models.loading import load
from synth.presets import resolve
from synth.rendering import BLACK, HALVED, NOT_FINITE, RETRIED, render

SMALL = Settings(width=64, height=64, steps=3)
MIXED = (  # prompt, seed, changed settings
    ("a cat", 0, {}),
    ("a red dog", 1, {"guidance_scale": 9.0}),
    ("a house", MAX_SEED, {"negative_prompt": "fog"}),
    ("a cat", 4, {"guidance_scale": 1.0}),
    ("a cat", 0, {"guidance_rescale": 0.7}),
)


@pytest.fixture(scope="module")
def sd(tiny_sd) -> ModelRef:
    return resolve(str(tiny_sd), "renderer")


@pytest.fixture(scope="module")
def sdxl(tiny_sdxl) -> ModelRef:
    return resolve(str(tiny_sdxl), "renderer")


@pytest.fixture(params=["sd", "sdxl"])
def any_model(request) -> ModelRef:
    return request.getfixturevalue(request.param)


def job(model: ModelRef, prompt: str = "a cat", seed: int = 0, **changes: object) -> Job:
    return Job(phrase="a cat", prompt=prompt, seed=seed, settings=SMALL.but(**changes), model=model)


def mixed(model: ModelRef) -> list[Job]:
    return [job(model, prompt, seed, **changes) for prompt, seed, changes in MIXED]


def by_job(results) -> dict[str, Result]:
    return {result.job.key: result for result in results}


def difference(a: Image.Image, b: Image.Image) -> int:
    return int(np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max())


def in_one_batch_and_alone(jobs: list[Job], **how: object) -> list[int]:
    together = by_job(render(jobs, device="cpu", batch_size=len(jobs), **how))
    alone = by_job(result for one in jobs for result in render([one], device="cpu", batch_size=1, **how))
    assert {result.status for result in together.values()} == {"done"}
    return [difference(together[one.key].image, alone[one.key].image) for one in jobs]


def broken(model: ModelRef, folder, part: str, change) -> ModelRef:
    """A copy of a model with one component's tensors changed."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model.name, folder)
    file = folder / part / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    change(weights)
    save_file(weights, file)
    return resolve(str(folder), "renderer")


@pytest.mark.parametrize(("name", "kind"), [("sd", StableDiffusionPipeline), ("sdxl", StableDiffusionXLPipeline)])
def test_plain_diffusers_makes_the_same_pictures(name, kind, request):
    model = request.getfixturevalue(name)
    jobs = [job(model, "a cat", 0), job(model, "a red dog", 7), job(model, "a house", MAX_SEED)]
    pipeline = kind.from_pretrained(model.name, use_safetensors=True, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    expected = pipeline(
        [job.prompt for job in jobs],
        generator=[torch.Generator().manual_seed(job.seed) for job in jobs],
        num_inference_steps=3,
        guidance_scale=jobs[0].settings.guidance_scale,
        height=64,
        width=64,
    ).images
    results = list(render(jobs))
    assert [result.batch_size for result in results] == [3, 3, 3]
    assert max(difference(a, b.image) for a, b in zip(expected, results, strict=True)) <= 1
    assert difference(expected[0], expected[1]) > 20


def test_negative_prompt_and_rescaled_guidance_are_those_of_diffusers(any_model):
    pipeline = load(any_model, "cpu", "float32")
    before, pipeline.scheduler = (
        pipeline.scheduler,
        DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False),
    )
    options = {"guidance_scale": 6.0, "guidance_rescale": 0.7, "negative_prompt": "fog"}
    expected = pipeline(
        "a cat", generator=torch.Generator().manual_seed(3), num_inference_steps=3, height=64, width=64, **options
    ).images[0]
    pipeline.scheduler = before
    assert difference(expected, next(render([job(any_model, seed=3, **options)])).image) <= 1


def test_a_picture_is_the_same_alone_and_in_a_mixed_batch(any_model):
    together = list(render(mixed(any_model)))
    assert {result.batch_size for result in together} == {len(MIXED)}
    for result in together:
        assert result.status == "done"
        assert difference(result.image, next(render([result.job])).image) <= 1


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_draws_its_noise_for_the_picture_not_the_batch(sd, scheduler):
    jobs = [job(sd, seed=seed, scheduler=scheduler, steps=4, eta=0.7) for seed in (5, 6)]
    first, second = render(jobs)
    assert first.status == "done", first.error
    assert difference(first.image, next(render(jobs[:1])).image) <= 2
    assert difference(second.image, next(render(jobs[1:])).image) <= 2
    assert difference(first.image, second.image) > 20


def test_every_setting_changes_the_picture(sd):
    changes = ({}, {"steps": 4}, {"guidance_scale": 8.0}, {"negative_prompt": "fog"}, {"guidance_rescale": 1.0})
    changes += ({"eta": 1.0}, {"scheduler": "euler"}, {"width": 72})
    pictures = [np.asarray(result.image) for result in render(job(sd, **change) for change in changes)]
    assert len({picture.tobytes() for picture in pictures}) == len(changes)


@pytest.mark.parametrize(("name", "scheduler"), [("sd", "euler-a"), ("sdxl", "ddim")])
def test_strict_pixels_depend_on_nothing_but_the_job(name, scheduler, request):
    model = request.getfixturevalue(name)
    others = [(f"a cat and {n} dogs", n, {}) for n in range(4)]
    jobs = [job(model, prompt, seed, scheduler=scheduler, **changes) for prompt, seed, changes in (*MIXED, *others)]
    together = by_job(render(jobs, strict=True))
    reverse = by_job(render(jobs[::-1], strict=True, batch_size=6))
    alone = by_job(result for one in jobs[1:5] for result in render([one], strict=True))
    assert all(together[key].image.tobytes() == reverse[key].image.tobytes() for key in together)
    assert all(together[key].image.tobytes() == alone[key].image.tobytes() for key in alone)


def test_strict_pictures_are_those_of_the_usual_mode(sd):
    usual, strict = by_job(render(mixed(sd))), by_job(render(mixed(sd), strict=True))
    assert max(difference(usual[key].image, strict[key].image) for key in usual) <= 1


def test_results_tell_how_they_came_about(sd):
    long = " ".join(["word"] * 30)
    short, cut = render([job(sd, "a cat"), job(sd, long)], batch_size=4)
    assert (short.device, short.dtype, short.batch_size) == ("cpu", "float32", 2)
    assert short.image.size == (64, 64) and short.image.mode == "RGB"
    assert short.seconds > 0 and short.notes == () and short.error == ""
    assert (short.prompt_tokens, short.truncated) == (4, "")
    assert cut.prompt_tokens == 120
    assert long.endswith(cut.truncated) and len(cut.truncated.replace(" ", "")) == 120 - 75


def test_results_stream_in_batches(sd):
    seen = []
    stream = render(
        [job(sd, seed=seed) for seed in range(5)],
        batch_size=2,
        on_step=lambda jobs, step, steps, latents: seen.append((len(jobs), step, steps, tuple(latents.shape))),
    )
    assert seen == []
    next(stream)
    assert seen == [(2, step, 3, (2, 4, 8, 8)) for step in (1, 2, 3)]
    assert [result.job.seed for result in stream] == [1, 2, 3, 4]
    assert len(seen) == 9


def test_models_and_shapes_may_be_mixed(sd, sdxl):
    jobs = [job(sd), job(sdxl), job(sd, width=96), job(sdxl, steps=2), job(sd, seed=1)]
    results = list(render(jobs))
    assert {result.job for result in results} == set(jobs)
    assert all(result.status == "done" for result in results)
    assert {result.image.size for result in results} == {(64, 64), (96, 64)}


def test_nothing_to_do_is_fine():
    assert list(render([])) == []


def test_the_random_state_of_the_caller_is_left_alone(sd, tiny_sdxl):
    before = torch.get_rng_state()
    list(render([job(resolve(str(tiny_sdxl), "renderer"), scheduler="euler-a"), job(sd)]))
    assert torch.equal(before, torch.get_rng_state())


def test_each_text_is_encoded_once(sd):
    pipeline = load(sd, "cpu", "float32")
    rows = []
    hook = pipeline.text_encoder.register_forward_hook(lambda _, __, output: rows.append(len(output[0])))
    list(render([job(sd, prompt, seed) for seed in range(6) for prompt in ("a cat", "a dog")], batch_size=4))
    hook.remove()
    assert sum(rows) == 3  # two prompts and the empty negative prompt


def test_the_memory_of_texts_is_bounded(sd):
    pipeline = load(sd, "cpu", "float32")
    embedder, calls = Embedder(pipeline), []
    hook = pipeline.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    for start in (0, 50, 100, 0, 100):  # the last one is still known, the first was forgotten
        embedder.prompts([f"cat number {n}" for n in range(start, start + 50)])
    hook.remove()
    assert len(calls) == 4


def test_numbers_that_overflow_are_rendered_again_in_float32(sd, tmp_path):
    def loud(weights):  # 65504 is float16's limit
        weights["decoder.layers.0.weight"] *= 3e5
        weights["decoder.layers.2.conv.0.weight"] /= 3e5

    model = broken(sd, tmp_path / "loud", "vae", loud)
    (result,) = render([job(model)], dtype="float16")
    assert (result.status, result.dtype, result.notes) == ("done", "float32", (RETRIED,))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nan_is_never_a_picture(sd, tmp_path, dtype):
    model = broken(sd, tmp_path / "nan", "unet", lambda weights: weights["conv_out.bias"].fill_(float("nan")))
    (result,) = render([job(model)], dtype=dtype)
    assert (result.status, result.image, result.error) == ("failed", None, NOT_FINITE)
    assert result.dtype == "float32"


def test_nan_latents_of_one_picture_fail_that_picture_alone(sd):
    jobs = [job(sd, seed=seed) for seed in range(4)]

    def spoil(found, step, steps, latents) -> None:
        for row, one in zip(latents, found, strict=True):
            if one.seed == 2 and step == 1:
                row[0, 0, 0] = float("nan")

    results, whole = by_job(render(jobs, on_step=spoil)), by_job(render(jobs))
    assert [results[one.key].error for one in jobs] == ["", "", NOT_FINITE, ""]
    for one in jobs[:2] + jobs[3:]:
        assert results[one.key].image.tobytes() == whole[one.key].image.tobytes()


def test_black_is_never_a_picture(sd, tmp_path):
    model = broken(sd, tmp_path / "black", "vae", lambda weights: weights["decoder.layers.18.bias"].fill_(-99.0))
    (result,) = render([job(model)])
    assert (result.status, result.image, result.error) == ("failed", None, BLACK)


class Memory:
    """Fails like the CPU allocator once the UNet is given more than so many rows."""

    def __init__(self, rows: int) -> None:
        self.rows, self.refused = rows, set()

    def __call__(self, _module, args) -> None:
        if len(args[0]) > self.rows:
            self.refused.add(len(args[0]))
            torch.empty(2**58, dtype=torch.uint8)


@pytest.fixture
def short_of_memory(sd):
    """Limit how many rows (twice the pictures) the model takes at once."""
    hooks = []

    def limit(rows: int) -> Memory:
        memory = Memory(rows)
        hooks.append(load(sd, "cpu", "float32").unet.register_forward_pre_hook(memory))
        return memory

    yield limit
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize(("fits", "fail"), [(4, {8}), (2, {8, 4}), (1, {8, 4, 2})])
def test_out_of_memory_halves_the_batch_and_goes_on(sd, short_of_memory, fits, fail):
    jobs = [job(sd, seed=seed) for seed in range(10)]
    expected = by_job(render(jobs))
    memory = short_of_memory(rows=2 * fits)
    results = list(render(jobs, batch_size=8))
    assert memory.refused == {2 * size for size in fail}
    assert [result.job for result in results] == jobs
    assert all(
        result.status == "done" and result.batch_size <= fits and result.notes == (HALVED,) for result in results
    )
    assert max(difference(result.image, expected[result.job.key].image) for result in results) <= 1


def test_one_picture_too_large_fails_with_the_remedy_and_the_others_go_on(sd, short_of_memory):
    short_of_memory(rows=1)
    guided, plain = render([job(sd), job(sd, guidance_scale=1.0, steps=2)])
    assert guided.status == "failed" and "smaller size" in guided.error
    assert plain.status == "done"


def test_strict_mode_does_not_change_its_batch_when_memory_is_short(sd, short_of_memory):
    short_of_memory(rows=6)
    (result,) = render([job(sd)], strict=True)
    assert result.status == "failed" and "strict" in result.error


def test_a_job_that_cannot_be_rendered_does_not_stop_the_others(sd):
    bad, good = render([job(sd, scheduler="lcm", steps=60), job(sd)])
    assert bad.status == "failed" and "steps" in bad.error and "\n" not in bad.error
    assert good.status == "done"


def test_a_keyboard_interrupt_passes(sd):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(render([job(sd)], on_step=stop))


def test_a_bad_model_is_refused_before_anything_is_rendered(sd, tmp_path):
    folder = shutil.copytree(sd.name, tmp_path / "model")
    (folder / "unet/diffusion_pytorch_model.safetensors").write_bytes(b"cut off")
    with pytest.raises(ModelError, match="cut off"):
        render([job(sd), job(ModelRef(name=str(folder)))])


@pytest.mark.parametrize(
    ("field", "value"),
    [("device", "toaster"), ("dtype", "int8"), ("batch_size", 0), ("offload", "disk"), ("offload", "model")],
)
def test_bad_arguments_are_refused_by_name(sd, field, value):
    with pytest.raises(InputError, match=field):
        render([job(sd)], **{"device": "cpu", field: value})


def test_the_batch_size_follows_memory(sd, monkeypatch):
    jobs = [job(sd, seed=seed, steps=1) for seed in range(17)]
    for free, sizes in ((0, {1}), (200 * 2**20, {2, 1}), (2**40, {16, 1})):
        monkeypatch.setattr(rendering, "free_memory", lambda device, free=free: free)
        assert {result.batch_size for result in render(jobs)} == sizes


def test_pixels_are_what_they_were(sd):
    """Golden values: a change of the arithmetic, of the noise or of a library shows here first."""
    picture = np.asarray(next(render([job(sd, "a red lighthouse", 42, guidance_scale=5)])).image, dtype=int)
    golden = [[[0, 154, 147], [0, 217, 174]], [[15, 116, 111], [0, 150, 175]]]
    assert np.abs(picture[::32, ::32] - golden).max() <= 2
    assert picture.mean() == pytest.approx(112.2, abs=0.5)
