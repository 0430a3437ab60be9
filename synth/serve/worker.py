"""The thread that has the model: it takes the next batch over all clients, renders it in one call, and keeps it."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from synth.errors import StudyError, SynthError
from synth.jobs import Job, ModelRef, Result, Settings
from synth.models.devices import choose_device, choose_dtype
from synth.models.families import DiffusionPipeline, is_stable_diffusion
from synth.models.loading import load
from synth.records.recording import Recorder
from synth.records.sources import kept
from synth.rendering import LARGEST_BATCH, render
from synth.serve.desk import Tasks, settle
from synth.serve.events import Event, Hub
from synth.serve.metrics import Metrics
from synth.serve.previews import fitted, preview
from synth.serve.problems import UNEXPECTED, full
from synth.serve.queue import Entry
from synth.serve.turns import Turn, Turns
from synth.studies import Study, claimed

GATHER, LONGEST = 0.1, 2.0  # seconds without news before an idle worker begins, and at most
BETWEEN = 0.25  # seconds between two previews of a batch
MOST_TASKS, SHARE = 16, 4  # that need the model, and those of one client
log = logging.getLogger("synth.serve")


@dataclass(eq=False)
class Drawing:
    """A study that is being rendered. left: pictures to come; ended: nothing more of it is wanted."""

    entry: Entry
    study: Study
    left: int
    ended: bool = False

    @property
    def topic(self) -> tuple[str, str]:
        """Under which its events are told."""
        return self.entry.client, self.entry.study


class Listener(Protocol):
    """Who hears what becomes of drawings; called from the worker's threads."""

    def rendered(self, drawing: Drawing, result: Result) -> None:
        """A picture is kept, or failed."""

    def broke(self, drawing: Drawing, reason: str) -> None:
        """Nothing more of a study can be kept."""

    def more_is_coming(self) -> bool:
        """Whether requests that were accepted are just being opened."""


class Abandoned(BaseException):
    """Nobody wants any picture of the batch any more. No Exception, as those make a batch be tried again in parts."""


class Worker(threading.Thread):
    """Renders what waits in `turns`, and between two batches does a task that needs the model.

    pace: seconds a picture took lately, in batches. After `stop` the batch in hand is finished and nothing begun.
    """

    def __init__(self, turns: Turns, hub: Hub, metrics: Metrics, listener: Listener, device: str, dtype: str) -> None:
        super().__init__(name="synth-worker", daemon=True)
        self.turns, self.hub, self.metrics, self.listener = turns, hub, metrics, listener
        self.device = choose_device(device)
        self.dtype = dtype
        choose_dtype(dtype, self.device)
        self.most = LARGEST_BATCH[self.device.split(":")[0]]
        self.pace = 1.0
        self._tasks = Tasks(MOST_TASKS, SHARE)
        self._news = threading.Condition()
        self._latest_news, self._stopping = 0.0, False
        self._batch: list[Turn] = []
        self._latest_preview = 0.0
        self._colours: dict[ModelRef, torch.Tensor | None] = {}

    def load(self, model: ModelRef, settings: Settings) -> DiffusionPipeline:
        """The pipeline that renders with these settings; on the worker's own thread only."""
        return load(model, self.device, choose_dtype(self.dtype, self.device, settings.precision))

    def wake(self) -> None:
        """Tell it that something waits."""
        with self._news:
            self._latest_news = time.monotonic()
            self._news.notify()

    def ask(self, client: str, task: Callable[[], Any]) -> Future:
        """The future result of a task that needs the model; Refused where too many wait."""
        with self._news:
            if self._tasks.is_full(client):
                raise full(self.pace * self.most)
            future = self._tasks.add(client, task)
        self.wake()
        return future

    def stop(self) -> None:
        """End, once the batch in hand is finished."""
        with self._news:
            self._stopping = True
            self._news.notify()
        self.join()

    def has_in_hand(self, topic: tuple[str, str]) -> bool:
        """Whether a picture of a study is being rendered just now."""
        return any(turn.study.topic == topic for turn in self._batch)

    def run(self) -> None:
        """Work until stopped."""
        while not self._stopping:
            worked = self._do_task()
            if batch := self.turns.take(self.most):
                self._render_safely(batch)
            elif not worked:
                self._rest()

    def _rest(self) -> None:
        """Wait for news, then a little for more of it, so that those who come together share their first batch."""
        with self._news:
            self._news.wait_for(lambda: self._stopping or self._tasks or len(self.turns))
        began = time.monotonic()
        while time.monotonic() - began < LONGEST and not (self._stopping or self._tasks):
            if time.monotonic() - self._latest_news > GATHER and not self.listener.more_is_coming():
                break
            time.sleep(GATHER / 5)

    def _do_task(self) -> bool:
        with self._news:
            if not self._tasks:
                return False
            future, task = self._tasks.take()
        settle(future, task)
        return True

    def _render_safely(self, turns: list[Turn]) -> None:
        """Render a batch; whatever goes wrong is told to those it concerns, and the others go on."""
        began = time.monotonic()
        self._batch = turns
        try:
            self._render(turns)
        except Abandoned:
            pass
        except Exception as error:
            if not isinstance(error, SynthError):
                log.exception("a batch failed")
            for drawing in {turn.study for turn in turns}:
                self.listener.broke(drawing, str(error) if isinstance(error, SynthError) else UNEXPECTED)
        finally:
            self._batch = []
        seconds = time.monotonic() - began
        self.pace += 0.3 * (seconds / len(turns) - self.pace)
        self.metrics.rendering.inc(seconds)
        self.metrics.batch.observe(len(turns))
        self.metrics.clients.observe(len({turn.client for turn in turns}))

    def _render(self, turns: list[Turn]) -> None:
        with ExitStack() as stack:
            writers, pictures = self._enter(stack, {turn.study for turn in turns})
            wanted: dict[str, list[Turn]] = {}  # one picture may be wanted by several
            for turn in turns:
                if turn.study in writers:
                    wanted.setdefault(turn.job.key, []).append(turn)

            def write(result: Result) -> None:
                for turn in wanted[result.job.key]:
                    self._keep(turn.study, writers[turn.study], result)

            def watch(jobs: Sequence[Job], step: int, steps: int, latents: torch.Tensor) -> None:
                self._watch(wanted, jobs, step, steps, latents)

            recorder = stack.enter_context(Recorder(write))
            jobs = [found[0].job for found in wanted.values()]
            how = {"device": self.device, "dtype": self.dtype, "strict": turns[0].study.study.plan.strict}
            with closing(render(jobs, pictures=pictures, on_step=watch, **how)) as results:
                for result in results:
                    recorder.put(result)

    def _enter(self, stack: ExitStack, drawings: set[Drawing]) -> tuple[dict[Drawing, Any], dict[str, Any]]:
        """What keeps the results of each study that can be written, and what all are drawn over."""
        writers, pictures = {}, {}
        for drawing in drawings:
            try:
                over = kept(drawing.study.folder, drawing.study.jobs[0])
                writers[drawing] = stack.enter_context(_recording(drawing.study))
                pictures |= over
            except StudyError as error:
                self.listener.broke(drawing, str(error))
        return writers, pictures

    def _keep(self, drawing: Drawing, write: Callable[[Result], None], result: Result) -> None:
        """Keep a result on the recorder's thread; a study that cannot be written is no reason to fail the others."""
        try:
            write(result)
        except StudyError as error:
            self.listener.broke(drawing, str(error))
            return
        self.metrics.pictures.labels(result.status).inc()
        self.listener.rendered(drawing, result)

    def _watch(
        self, wanted: dict[str, list[Turn]], jobs: Sequence[Job], step: int, steps: int, latents: torch.Tensor
    ) -> None:
        """Show those who listen how their pictures form."""
        if all(turn.study.ended for turn in self._batch):
            raise Abandoned
        if step == 1 or time.monotonic() - self._latest_preview < BETWEEN or step == steps:
            return  # noise, too soon, or as good as finished
        self._latest_preview = time.monotonic()
        for job, rows in zip(jobs, latents, strict=True):
            heard = [turn for turn in wanted[job.key] if self.hub.is_heard(turn.study.topic)]
            if heard and (colours := self._colours_of(job)) is not None:
                image = preview(rows, colours, (job.settings.width, job.settings.height))
                data = {"key": job.key, "step": step, "steps": steps, "image": image}
                for turn in heard:
                    self.hub.tell(turn.study.topic, Event("preview", data, job.key))

    def _colours_of(self, job: Job) -> torch.Tensor | None:
        """How the latents of the job's model, which is being used, become colours; None where nobody knows."""
        if job.model not in self._colours:
            pipeline = self.load(job.model, job.settings)
            try:
                self._colours[job.model] = fitted(pipeline) if is_stable_diffusion(type(pipeline)) else None
            except Exception:  # a picture without a preview is a picture
                log.exception("no previews of %s", job.model.name)
                self._colours[job.model] = None
        return self._colours[job.model]


@contextmanager
def _recording(study: Study) -> Iterator[Callable[[Result], None]]:
    with claimed(study.folder), study.recording() as write:
        yield write
