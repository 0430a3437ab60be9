"""A crew on a Ray cluster: an actor pool of Ray Data, with one model in each actor.

A cluster that runs already is joined by its address. Without one, a small cluster starts on this machine for as long as
it is needed, with the settings that its start was found to depend on (docs/scale.md).
"""

import logging
import os
import pickle
import secrets
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from uuid import uuid4

from synth.errors import InputError, RenderError
from synth.records.estimates import in_words
from synth.scale.answers import ATTEMPTS, PATIENCE, attempt, checked, given_up

TRIES = 3
OBJECT_STORE = 256 * 2**20  # bytes, of a cluster on this machine
OWN = {  # environment of a cluster on this machine; what people set themselves goes before
    "RAY_worker_niceness": "0",  # by itself 15: beside other work its actors hardly moved
    "RAY_prestart_worker_first_driver": "0",  # processes that nobody needs, while all is busy
}
SPARE = 0.9  # of the CPUs are the actors': Ray Data stands still where its pool leaves none for anything else


class Cluster:
    """See `synth.scale.crews.Crew`.

    address: "auto", "10.0.0.1:6379", or None for a cluster on this machine; InputError where nobody answers.
    device: auto, cuda or cpu.
    patience: seconds without any answer after which the cluster counts as stuck, a RenderError.
    """

    def __init__(
        self, address: str | None = None, workers: int | None = None, device: str = "auto", patience: float = PATIENCE
    ) -> None:
        _check_address(address)
        self._ray = _import_ray(own=address is None)
        self._address, self._asked, self._device, self._patience = address, workers, device, patience

    @property
    def workers(self) -> int:
        """How many actors: as asked, else one for each GPU, else one for each node. Joins the cluster."""
        self._join()
        return self._asked or self._gpus() or len(self._nodes())

    def scatter(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `synth.scale.crews.Crew`."""
        self._join()
        left = set(range(len(items)))
        try:
            for batch in self._answers(task, items):
                for place, answer in zip(batch["place"].tolist(), batch["answer"], strict=True):
                    left.remove(place)
                    yield place, checked(pickle.loads(answer))
            if left:
                raise RenderError(f"{len(left)} of {len(items)} parts never came back; run the same again to go on")
        except self._ray.data.exceptions.ExecutionTimeoutError:
            remedy = "look at `ray status`, and run the same again to go on"
            raise RenderError(f"Nothing came from the cluster for {in_words(self._patience)}; {remedy}") from None
        except self._ray.exceptions.RayError as error:
            raise RenderError(f"The cluster gave up ({_first(error)}); run the same again to go on") from error
        finally:
            self._ray.shutdown()

    def _answers(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[dict[str, Any]]:
        """Places and pickled answers as they come. Ray itself restarts actors that died, and repeats their items."""
        rows = [{"place": place, "item": pickle.dumps(item)} for place, item in enumerate(items)]
        data = self._ray.data.from_items(rows, override_num_blocks=len(rows))  # a block is what an actor gets at once
        data.context.execution_no_progress_timeout_s = self._patience
        data.context.max_tasks_in_flight_per_actor = 2  # one is computed, one waits
        data.context.enable_progress_bars = data.context.print_on_execution_start = False
        workers, nodes = self.workers, self._nodes()
        threads = max(1, int(min(node["Resources"].get("CPU", 1) for node in nodes) * len(nodes) / workers))
        answers = data.map_batches(
            _Actor, fn_constructor_args=(task, threads, uuid4().hex), batch_size=1, concurrency=workers,
            **self._resources(workers),
        )  # fmt: skip
        return answers.iter_batches(batch_size=None, prefetch_batches=0)  # which would hold the last one back

    def _resources(self, workers: int) -> dict[str, float]:
        """What each actor reserves. InputError where the cluster can't hold so many."""
        gpus, cpus = self._gpus(), self._ray.cluster_resources().get("CPU", 0.0)
        if gpus and workers > gpus:
            raise InputError("workers", workers, f"the cluster has {gpus} GPUs, and each worker needs one")
        if workers > 100 * cpus:
            raise InputError("workers", workers, f"the cluster has {cpus:g} CPUs")
        return {"num_cpus": round(min(1.0, SPARE * cpus / workers), 4)} | ({"num_gpus": 1} if gpus else {})

    def _gpus(self) -> int:
        return 0 if self._device == "cpu" else int(self._ray.cluster_resources().get("GPU", 0))

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]

    def _join(self) -> None:
        if self._ray.is_initialized():
            return
        if self._address is None:
            self._start()
            return
        try:
            self._ray.init(self._address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray has no class of its own for this
            raise InputError("address", self._address, f"no Ray cluster answers there ({_first(error)})") from None

    def _start(self) -> None:
        """A cluster on this machine: its start fails where the CPUs are busy for long, and mostly not again."""
        for tried in range(1, TRIES + 1):
            try:
                self._ray.init(
                    "local",  # whatever other cluster runs here, or ran here and left its address behind
                    num_cpus=max(self._asked or 1, os.cpu_count() or 1) + 1, include_dashboard=False,
                    object_store_memory=OBJECT_STORE, log_to_driver=False, logging_level=logging.ERROR,
                )  # fmt: skip
                return
            except Exception as error:  # as above
                self._ray.shutdown()
                if tried == TRIES:
                    remedy = "try again when this machine is less busy, or use the engine processes, which needs no Ray"
                    raise RenderError(f"Ray did not start in {TRIES} tries ({_first(error)}); {remedy}") from error


class _Actor:
    """Answers one item after another; what the task loads stays loaded in its process.

    Ray repeats the item of a dead actor without end, so each beginning is counted where all actors see it.
    """

    def __init__(self, task: Callable[[Any], Any], threads: int, run: str) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # before the task imports torch; Ray itself would say 1
        self._task, self._run = task, run

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        [place], [item] = batch["place"], batch["item"]
        deaths = self._begun(f"synth-{self._run}-{place}")
        answer = given_up("in the cluster") if deaths >= ATTEMPTS else attempt(self._task, pickle.loads(item))
        return {"place": [place], "answer": [pickle.dumps(answer)]}

    def _begun(self, key: str) -> int:
        """How often the item was begun before."""
        from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put

        before = int(_internal_kv_get(key) or 0)
        _internal_kv_put(key, str(before + 1), overwrite=True)
        return before


def _check_address(address: str | None) -> None:
    """InputError where nothing listens, which Ray itself would take two minutes to tell."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise InputError("address", address, f"no Ray cluster answers there ({_first(error)})") from None


def _import_ray(*, own: bool) -> Any:
    """Ray's package, told by the environment, which it reads as it is imported, how a cluster of our own is to be."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # its ports are open to the network
    wanted = {"RAY_USAGE_STATS_ENABLED": "0"} | (OWN | token if own and "ray" not in sys.modules else {})
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    try:
        import ray.data
        import ray.data.exceptions
        import ray.exceptions
    except ImportError:
        raise InputError("engine", "ray", 'install it with: pip install "synth[scale]"') from None
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return ray


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
