"""Half precision where it is faster: chosen for each job by the machine, and told in its row."""

import pytest
from test_rendering import by_job, difference, job

from synth.errors import InputError
from synth.jobs import Settings
from synth.models import devices
from synth.presets import resolve
from synth.rendering import render


@pytest.fixture
def sd(tiny_sd):
    return resolve(str(tiny_sd), "renderer")


@pytest.fixture(params=[True, False], ids=["with units", "without"])
def units(request, monkeypatch) -> bool:
    """Whether this machine passes for one that has units for bfloat16."""
    monkeypatch.setattr(devices, "native_bf16", lambda device: request.param)
    return request.param


def test_each_job_is_computed_as_it_asks_where_that_is_faster(sd, units):
    jobs = [job(sd, seed=seed, precision=precision) for seed in (0, 1) for precision in ("full", "half")]
    results = by_job(render(jobs, device="cpu"))
    assert {result.status for result in results.values()} == {"done"}
    for full, half in (jobs[:2], jobs[2:]):
        assert results[full.key].dtype == "float32"
        assert results[half.key].dtype == ("bfloat16" if units else "float32")
        assert difference(results[full.key].image, results[half.key].image) <= (16 if units else 1)


def test_a_dtype_that_is_asked_for_goes_before(sd, units):
    full, half = render([job(sd), job(sd, precision="half")], device="cpu", dtype="float32")
    assert (full.dtype, half.dtype) == ("float32", "float32")
    assert full.image.tobytes() == half.image.tobytes()


def test_latents_stay_exact_between_the_steps(sd):
    seen = []
    list(render([job(sd)], device="cpu", dtype="bfloat16", on_step=lambda *told: seen.append(str(told[3].dtype))))
    assert set(seen) == {"torch.float32"}


def test_an_unknown_precision_is_one_clear_error():
    with pytest.raises(InputError, match="^precision: 'double' cannot be used; did you mean"):
        Settings(precision="double")
