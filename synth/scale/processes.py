"""A crew of processes on this machine: one for each GPU, or as many as asked for."""

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from synth.errors import RenderError
from synth.records.estimates import in_words
from synth.scale.answers import ATTEMPTS, PATIENCE, attempt, checked, given_up

_CONTEXT = get_context("spawn")  # a forked process cannot use CUDA


class Processes:
    """See `synth.scale.crews.Crew`. A process that dies is replaced; when this one dies, all of them end.

    patience: seconds without any answer after which they count as stuck, a RenderError.
    """

    def __init__(self, workers: int | None = None, device: str = "auto", patience: float = PATIENCE) -> None:
        gpus = _gpus() if device in ("auto", "cuda") else []
        self.workers, self._patience = workers or len(gpus) or 1, patience
        share = str(max(1, (os.cpu_count() or 1) // self.workers))
        threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", share)}
        self._places = [
            threads | ({"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {})
            for number in range(self.workers)
        ]

    def scatter(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """See `synth.scale.crews.Crew`."""
        waiting, deaths = deque(range(len(items))), Counter[int]()
        team = [_Worker(task, place) for place in self._places[: len(items)]]
        try:
            for _ in range(len(items)):
                yield self._next(team, waiting, deaths, items)
        finally:
            for worker in team:
                worker.stop()

    def _next(
        self, team: list["_Worker"], waiting: deque[int], deaths: Counter[int], items: Sequence[Any]
    ) -> tuple[int, Any]:
        """The next place that is answered; hands out items, and replaces who dies over them."""
        while True:
            for worker in team:
                if worker.place is None and waiting:
                    worker.give(place := waiting.popleft(), items[place])
            ready = wait([worker.pipe for worker in team if worker.place is not None], self._patience)
            if not ready:
                remedy = "run the same again to go on"
                raise RenderError(f"Nothing came from the workers for {in_words(self._patience)}; {remedy}")
            worker = next(worker for worker in team if worker.pipe in ready)
            place, worker.place = worker.place, None
            try:
                return place, checked(worker.pipe.recv())
            except (EOFError, OSError):
                how = worker.restart()
            deaths[place] += 1
            if deaths[place] == ATTEMPTS:
                return place, given_up(how)
            waiting.appendleft(place)


class _Worker:
    """A process and the pipe to it. place: of the item that it has; None when it waits for one."""

    def __init__(self, task: Callable[[Any], Any], environment: dict[str, str]) -> None:
        self._task, self._environment = task, environment
        self._start()

    def give(self, place: int, item: Any) -> None:
        self.place = place
        with suppress(OSError):  # it is dead, which reading its answer tells
            self.pipe.send(item)

    def restart(self) -> str:
        """Take a new process in the place of one that died; says how that ended."""
        self.stop()
        code = self._process.exitcode
        self._start()
        return f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()
        self.pipe.close()

    def _start(self) -> None:
        self.place: int | None = None
        self.pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_work, args=(theirs, self._task, self._environment), daemon=True)
        self._process.start()
        theirs.close()  # so that reading ends when the process does


def _work(pipe: Connection, task: Callable[[Any], Any], environment: dict[str, str]) -> None:
    """What a process does: answer items until nobody sends any."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that asked for the work
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(environment)  # before the task imports torch
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(task, item))


def _end_with_parent() -> None:
    parent_process().join()
    os._exit(1)


def _gpus() -> list[str]:
    """The GPUs of this machine as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]
