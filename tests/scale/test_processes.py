"""A crew of processes: the same pictures as without it, and nothing lost or doubled whoever is killed."""

import os
import signal
import time

import psutil
import pytest
from scale.drivers import run
from scale.faults import inventory, rows, start, wait_until, workers_of
from scale.tasks import fatal, square, wrong

from synth.errors import InputError, RenderError
from synth.jobs import Job, ModelRef, Settings
from synth.scale.crews import crew, engine
from synth.scale.processes import Processes
from synth.studies import study

WORKER = "spawn_main"


def two():
    return crew("processes", workers=2, device="cpu")


def test_every_item_is_answered_once_by_several_processes():
    answers = dict(two().scatter(square, range(20)))
    assert {place: number for place, (_, number) in answers.items()} == {n: n * n for n in range(20)}
    assert len({process for process, _ in answers.values()}) == 2


def test_the_item_of_a_killed_worker_is_given_to_another(tmp_path):
    items = ["a", tmp_path / "count", "b"]
    assert sorted(two().scatter(fatal, items)) == list(enumerate(items))


def test_an_item_that_kills_every_worker_is_given_up_and_the_others_go_on():
    answers = dict(two().scatter(fatal, ["a", "die", "b"]))
    assert (answers[0], answers[2]) == ("a", "b")
    assert isinstance(answers[1], RenderError) and "the last by signal 9" in str(answers[1])


def test_an_error_of_the_task_is_raised_and_ends_the_workers():
    with pytest.raises(RenderError, match="ZeroDivisionError: [56] by zero"):
        list(two().scatter(wrong, [5, 6]))
    assert not workers_of(os.getpid(), WORKER)


def test_workers_that_are_stuck_are_an_error():
    with pytest.raises(RenderError, match="Nothing came from the workers for 1 seconds; run the same again"):
        list(Processes(workers=1, device="cpu", patience=1.0).scatter(time.sleep, [3600]))
    assert not workers_of(os.getpid(), WORKER)


def test_whoever_stops_listening_ends_the_workers():
    answers = two().scatter(square, range(20))
    next(answers)
    answers.close()
    assert not workers_of(os.getpid(), WORKER)


def test_a_study_has_the_same_pixels_as_without_a_crew(tiny_sd, tmp_path):
    how = {
        "prompts": ["a red house", "a blue boat"], "seeds": 3, "settings": Settings(steps=2, width=64, height=64),
        "model": str(tiny_sd), "strict": True, "device": "cpu", "progress": False,
    }  # fmt: skip
    here = study(**how, out=tmp_path / "here").frame()
    there = study(**how, out=tmp_path / "there", engine=engine(two())).frame()
    assert list(here["pixels_sha256"]) == list(there["pixels_sha256"]) and len(there) == 6
    assert list(here["key"]) == list(there["key"])


def test_what_rendering_refuses_is_one_error():
    job = Job(phrase="a", prompt="a", seed=0, settings=Settings(), model=ModelRef(name="/no/such/model"))
    with pytest.raises(RenderError, match="There is no model /no/such/model"):
        list(engine(two())([job], device="cpu", strict=False, pictures={}))


def test_killed_workers_and_a_killed_driver_lose_and_double_nothing(tiny_sd, tmp_path):
    folder, words = tmp_path / "study", ("processes", "-", str(tiny_sd), tmp_path, 24)
    driver = start(*words)
    assert wait_until(lambda: rows(folder) >= 2, driver)
    victim, other = workers_of(driver.pid, WORKER)
    victim.kill()
    assert wait_until(lambda: rows(folder) >= 8, driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    gone, alive = psutil.wait_procs([other], timeout=60)
    assert not alive  # workers end with whom they worked for
    before = inventory(folder)
    assert 8 <= len(before) < 24
    found = run(*words)
    after = inventory(folder)
    assert found.counts == {"done": 24, "failed": 0, "left": 0} and len(after) == 24
    assert {key: after[key]["created"] for key in before} == {key: row["created"] for key, row in before.items()}


@pytest.mark.parametrize(("words", "field"), [
    ({"engine": "procesess"}, "engine"),
    ({"engine": "processes", "workers": 0}, "workers"),
    ({"engine": "processes", "address": "auto"}, "address"),
])  # fmt: skip
def test_what_cannot_be_a_crew_is_told(words, field):
    with pytest.raises(InputError, match=f"^{field}: "):
        crew(**words)
