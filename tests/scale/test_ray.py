"""A crew on a real Ray cluster of this machine: kills lose and double nothing, and a stuck cluster is an error."""

import os
import signal
from importlib.util import find_spec

import pytest
from scale.faults import inventory, rows, start, wait_until, workers_of
from scale.tasks import asleep

from synth.errors import InputError, RenderError
from synth.scale.crews import crew

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="the extra `scale` is not installed")

WORKER = "ray::MapWorker"


@pytest.fixture(scope="module")
def cluster():
    """The address of a cluster that this process holds; `scatter` in this process ends it."""
    from synth.scale.cluster import Cluster

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_ADDRESS", "127.0.0.1:1")  # of a cluster that nobody asked for
        Cluster(workers=2, device="cpu")._join()
    import ray

    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


def test_killed_actors_and_a_killed_driver_lose_and_double_nothing(cluster, tiny_sd, tmp_path):
    folder, words = tmp_path / "study", ("ray", cluster, str(tiny_sd), tmp_path, 24)
    driver = start(*words)
    assert wait_until(lambda: rows(folder) >= 2, driver)
    workers_of(os.getpid(), WORKER)[0].kill()
    assert wait_until(lambda: rows(folder) >= 10, driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = inventory(folder)
    assert 10 <= len(before) < 24
    assert start(*words).wait(120) == 0
    after = inventory(folder)
    assert len(after) == 24
    assert {key: after[key]["created"] for key in before} == {key: row["created"] for key, row in before.items()}


def test_an_address_where_nobody_answers_is_told():
    with pytest.raises(InputError, match="address: .*no Ray cluster answers there"):
        crew("ray", address="127.0.0.1:1")


def test_a_cluster_that_is_stuck_is_an_error(cluster):
    from synth.scale.cluster import Cluster

    with pytest.raises(RenderError, match="Nothing came from the cluster for 15 seconds; .*run the same again"):
        list(Cluster(workers=1, device="cpu", patience=15).scatter(asleep, ["a"]))
