"""Jobs in parcels: all of them, once, and together what is computed well together."""

from hypothesis import given
from hypothesis import strategies as st

from synth.jobs import Job, ModelRef, Settings
from synth.scale.parcels import parcels

SHAPES = [
    (ModelRef(name=name), Settings(steps=steps, width=width, guidance_scale=scale))
    for name in ("a", "b") for steps in (2, 5) for width in (64, 128) for scale in (1.0, 3.0)
]  # fmt: skip


def jobs_of(shapes):
    return [
        Job(phrase="x", prompt="x", seed=seed, settings=settings, model=model)
        for seed, (model, settings) in enumerate(shapes)
    ]


@given(shapes=st.lists(st.sampled_from(SHAPES), max_size=60), size=st.integers(1, 9))
def test_every_job_is_in_one_parcel_of_one_model_and_size(shapes, size):
    jobs = jobs_of(shapes)
    parts = parcels(jobs, size)
    assert sorted(job.seed for part in parts for job in part) == list(range(len(jobs)))
    assert all(1 <= len(part) <= size for part in parts)
    assert all(len({(job.model, job.settings.width) for job in part}) == 1 for part in parts)
    models = [part[0].model for part in parts]
    assert models == sorted(models, key=models.index)  # each model is loaded once
    assert parts == parcels(jobs, size)


def test_what_takes_the_same_steps_fills_parcels_and_the_rest_shares_them():
    fast, slow = SHAPES[0], (SHAPES[0][0], SHAPES[0][1].but(steps=5))
    parts = parcels(jobs_of([fast, slow] * 5), 4)
    assert [[job.settings.steps for job in part] for part in parts] == [[2] * 4, [5] * 4, [2, 5]]


def test_what_costs_nothing_to_mix_is_mixed():
    guided = (SHAPES[0][0], SHAPES[0][1].but(guidance_scale=7.5, negative_prompt="rain"))
    assert [len(part) for part in parcels(jobs_of([SHAPES[0], guided] * 2), 4)] == [4]
