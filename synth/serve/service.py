"""The service without its HTTP: requests become studies in clients' folders, and what is known of them."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from synth.errors import InputError, StudyError, SynthError
from synth.expansion import expand
from synth.jobs import SCHEDULERS, Job, Result
from synth.journal import Journal
from synth.measure.studies import MEASURES, measure, summary
from synth.models.families import check_settings
from synth.models.loading import check_model, configs
from synth.presets import advised, resolve
from synth.records.files import made_folder, remedy_for
from synth.records.pictures import is_whole
from synth.records.plans import Plan
from synth.records.sources import drawn_over
from synth.serve import taking_home, uploads
from synth.serve.answers import Drawn, Expanded, Heat, Measured, Model, Offered, Picture, State
from synth.serve.asks import ExpandAsk, RenderAsk, StudyAsk, expansion_of, plan_of
from synth.serve.catalogue import Catalogue
from synth.serve.desk import OWN, Desk, log_error
from synth.serve.events import Event, Hub
from synth.serve.heat import find_heat, kept_heat
from synth.serve.limits import Limits
from synth.serve.metrics import Metrics
from synth.serve.presence import Presence
from synth.serve.problems import UNEXPECTED, Refused, full, not_found
from synth.serve.queue import CANCELLED, DONE, FAILED, UNFINISHED, WAITING, Entry, Queue, TooMany
from synth.serve.turns import Turn, Turns
from synth.serve.worker import Drawing, Worker
from synth.studies import Study, begin, check_root, claimed

NO_REFERENCE = [name for name in MEASURES if name != "kid"]  # KID compares with a folder of the server's
LIMITS = Limits()
AGAIN = 0.2  # seconds until a study is opened that is still in an earlier batch
log = logging.getLogger("synth.serve")


class Service:
    """All that a server does for its clients, who are 16 hexadecimal digits each.

    The model has a thread of its own (`Worker`); a clerk writes prompts with GPT-2, opens and ends studies and decodes
    uploads; reports are made one at a time. StudyError where another server uses the folder `out`.
    """

    def __init__(
        self, out: Path, catalogue: Catalogue, limits: Limits = LIMITS, device: str = "auto", dtype: str = "auto"
    ) -> None:
        self.catalogue, self.limits = catalogue, limits
        self.hub, self.presence, self.metrics, self.turns = Hub(), Presence(), Metrics(), Turns()
        self.worker = Worker(self.turns, self.hub, self.metrics, self, device, dtype)
        self.root = check_root(out).resolve()
        self._claim = FileLock(self.root / ".serve.lock", thread_local=False)
        try:
            self._claim.acquire(timeout=0)
        except Timeout:
            raise StudyError(f"{out} is in use by another server; stop that one, or give another --out") from None
        except OSError as error:
            raise StudyError(f"{out} cannot be written ({error.strerror}); {remedy_for(str(error))}") from error
        try:
            self.queue = Queue(self.root / "queue.sqlite", limits.queue, limits.share)
        except StudyError:
            self._claim.release()
            raise
        self.metrics.queue.set_function(self.queue.left)
        self._clerk = Desk("synth-clerk", lambda: self.worker.pace)
        self._reporter = Desk("synth-reporter", lambda: 20.0)
        self._drawings: dict[tuple[str, str], Drawing] = {}
        self._lock = threading.RLock()
        self.ready = threading.Event()

    def start(self) -> None:
        """Begin to work, with what an earlier server left unfinished."""
        self.worker.start()
        self.worker.ask(OWN, self._warm_up).add_done_callback(log_error)
        for entry in self.queue.unfinished():
            self._clerk.do(partial(self._open, entry), entry.client)

    def stop(self) -> None:
        """Finish the batch in hand; what waits goes on when the next server starts."""
        self.hub.close()
        self.worker.stop()
        self._clerk.stop()
        self._reporter.stop()
        self.queue.close()
        self._claim.release()

    def offered(self) -> Offered:
        """What clients may ask for."""
        names = Model.__dataclass_fields__
        models = [Model(**{name: getattr(offer, name) for name in names}) for offer in self.catalogue.offers.values()]
        return Offered(
            models=models, schedulers=list(SCHEDULERS), measures=NO_REFERENCE, limits=asdict(self.limits)
        )  # fmt: skip

    def expand(self, client: str, ask: ExpandAsk, tell: Callable[[Event], None] | None = None) -> "Future[Expanded]":
        """GPT-2's prompts for a phrase, some time; tell: called with events `drawn` while it writes."""
        if ask.n > self.limits.pictures:
            raise InputError("n", ask.n, f"ask for at most {self.limits.pictures:,} at once")
        model, renderer = self.catalogue.source(ask.expander, "expander"), self.catalogue.source(ask.model, "renderer")
        settings = expansion_of(ask)

        def write() -> Expanded:
            found = expand(
                ask.phrase, ask.n, seed=ask.seed, settings=settings, model=model, renderer=renderer,
                device=self.worker.device, progress=tell and (lambda *so_far: tell(_drawn(*so_far))),
            )  # fmt: skip
            return Expanded(
                phrase=found.phrase, seed=ask.seed, settings=settings, prompts=list(found.prompts),
                candidates=list(found.candidates),
            )  # fmt: skip

        return self._clerk.ask(client, write)

    def draw(self, client: str, ask: StudyAsk | RenderAsk) -> State:
        """Accept a request for pictures; the same one again is the same study."""
        home = self.root / client
        source, mask = (uploads.find(getattr(ask, name), home, name) for name in ("source", "mask"))
        plan = plan_of(ask, self.catalogue, source, mask)
        self.limits.check(plan)
        _check_with_model(plan)
        entry = Entry(
            client=client, study=plan.key[:16], plan=plan, source=ask.source or "", mask=ask.mask or "",
            detached=ask.detached,
        )  # fmt: skip
        self.presence.heard(client)
        try:
            entry, is_new = self.queue.add(entry)
        except TooMany:
            raise full(self.worker.pace * plan.pictures) from None
        if is_new:
            self._clerk.do(partial(self._open, entry), client)
        return self.state(entry)

    def find(self, client: str, study: str) -> Entry:
        """A client's request; Refused with 404 where it is not theirs."""
        entry = self.queue.find(client, study)
        if entry is None:
            raise not_found("study")
        return entry

    def state(self, entry: Entry) -> State:
        """How far a request is."""
        drawing = self._drawings.get((entry.client, entry.study))
        return State(
            id=entry.study, phrase=entry.plan.phrase or entry.plan.prompts[0], state=entry.state, reason=entry.reason,
            created=entry.created, pictures=entry.plan.pictures, left=drawing.left if drawing else entry.left,
            ahead=len(self.turns),
        )  # fmt: skip

    def drawn(self, entry: Entry) -> Drawn:
        """A study with all its pictures."""
        if not (self._folder(entry) / "plan.json").is_file():
            return Drawn(state=self.state(entry))
        study = Study.open(self._folder(entry))
        with Journal(study.folder) as journal:
            rows = {row["key"]: row for row in journal.rows()}
        places = study.plan.coordinates(len(study.expansion))
        pictures = [
            Picture(
                key=job.key, status=rows[job.key]["status"] if job.key in rows else "waiting",
                error=rows[job.key]["error"] if job.key in rows else "", place=place, job=job,
            )
            for job, place in zip(study.jobs, places, strict=True)
        ]  # fmt: skip
        return Drawn(state=self.state(entry), prompts=list(study.expansion.prompts), pictures=pictures)

    def study(self, entry: Entry) -> Study:
        """The study of a request; Refused where its prompts are not written yet."""
        if not (self._folder(entry) / "plan.json").is_file():
            raise Refused(409, "this study has no prompts yet; ask again when its state is no longer opening")
        return Study.open(self._folder(entry))

    def picture(self, entry: Entry, key: str) -> tuple[Study, Job, Path]:
        """A study, and one of its finished pictures: its job and its file."""
        study = self.study(entry)
        job = next((job for job in study.jobs if job.key == key), None)
        if job is None:
            raise not_found("picture")
        path = study.folder / "images" / f"{job.key[:16]}.png"
        if not is_whole(path):
            raise Refused(409, "this picture is not finished; ask again when its status is done")
        return study, job, path

    def cancel(self, entry: Entry, reason: str = "its client cancelled it") -> State:
        """Give up what is not rendered yet; what is, stays. One that has ended stays as it is."""
        with self._lock:
            current = self.queue.find(entry.client, entry.study)
            if current.state in UNFINISHED:
                return self._end(current, CANCELLED, reason)
        return self.state(current)

    def heat(self, entry: Entry, key: str) -> "Future[Heat]":
        """Which word drew what in a picture, some time."""
        study, job, _ = self.picture(entry, key)
        if known := kept_heat(study, job):
            return _known(known)
        how = {"device": self.worker.device, "dtype": self.worker.dtype}
        return self.worker.ask(entry.client, lambda: find_heat(study, job, **how))

    def measure(self, entry: Entry, names: list[str]) -> "Future[list[Measured]]":
        """Measures of a finished study, some time; they are columns of its log from then on."""
        study = self._ended(entry)
        if "kid" in names:
            raise InputError("measures", "kid", f"use {', '.join(NO_REFERENCE)}")

        def take() -> list[Measured]:
            frame = measure(study, names, device=self.worker.device, progress=False)
            rows = summary(frame).astype(object)
            return [Measured(**row) for row in rows.where(rows.notna(), None).to_dict("records")]

        return self.worker.ask(entry.client, take)

    def report(self, entry: Entry) -> "Future[Path]":
        """The page of a finished study, some time."""
        study = self._ended(entry)
        page = study.folder / taking_home.PAGE
        return _known(page) if page.is_file() else self._reporter.ask(entry.client, lambda: taking_home.report(study))

    def archive(self, entry: Entry) -> "Future[Path]":
        """A temporary zip of a finished study, some time."""
        study = self._ended(entry)
        return self._clerk.ask(entry.client, lambda: taking_home.archive(study))

    def upload(self, client: str, data: bytes) -> "Future[str]":
        """Keep a picture; the digest by which requests name it, some time."""
        return self._clerk.ask(client, lambda: uploads.receive(data, self.root / client, self.limits))

    def give_up_on_the_silent(self) -> None:
        """Free the places of clients that are gone."""
        self.presence.forget(10 * self.limits.patience)
        for client in self.queue.clients_waiting():
            if self.presence.silence(client) > self.limits.patience:
                for entry in self.queue.of(client):
                    if entry.state in UNFINISHED and not entry.detached:
                        self.cancel(entry, f"its client was not heard for {self.limits.patience:g} seconds")

    def rendered(self, drawing: Drawing, result: Result) -> None:
        """Called by the worker for each picture that is kept."""
        data = {"key": result.job.key, "status": result.status, "error": result.error}
        with self._lock:
            drawing.left -= 1
            self.hub.tell(drawing.topic, Event("picture", data, result.job.key))
            if drawing.ended:  # which was told already
                return
            drawing.entry = self.queue.change(drawing.entry, WAITING, drawing.left)
            self._tell(drawing.entry)
        if not drawing.left:
            self._clerk.do(partial(self._finish, drawing), drawing.entry.client)

    def broke(self, drawing: Drawing, reason: str) -> None:
        """Called by the worker where a study cannot go on."""
        with self._lock:
            if not drawing.ended:
                self._end(drawing.entry, FAILED, reason)

    def more_is_coming(self) -> bool:
        """Whether the clerk is just opening studies."""
        return self._clerk.busy

    def _open(self, entry: Entry) -> None:
        """Write a study's prompts, if need be, and queue its missing pictures."""
        topic = entry.client, entry.study
        if self.worker.has_in_hand(topic):  # it was cancelled, and asked for again
            threading.Timer(AGAIN, self._clerk.do, [partial(self._open, entry), entry.client]).start()
            return
        try:
            drawing, missing = self._opened(entry)
        except Exception as error:
            if not isinstance(error, SynthError):
                log.exception("a study could not be opened")
            self._end(entry, FAILED, str(error) if isinstance(error, SynthError) else UNEXPECTED)
            return
        with self._lock:
            if topic in self._drawings or self.queue.find(*topic).state not in UNFINISHED:
                return
            self._drawings[topic] = drawing
            drawing.entry = self.queue.change(entry, WAITING, drawing.left)
            alike = [_alike(drawing.study.plan, job) for job in missing]
            self.turns.add(Turn(entry.client, drawing, job, kind) for job, kind in zip(missing, alike, strict=True))
        self.hub.tell(topic, Event("prompts", [asdict(prompt) for prompt in drawing.study.expansion]))
        self._tell(drawing.entry)
        if missing:
            self.worker.wake()
        else:
            self._finish(drawing)

    def _opened(self, entry: Entry) -> tuple[Drawing, list[Job]]:
        def drew(candidates: int, texts: list[str]) -> None:
            self.hub.tell((entry.client, entry.study), _drawn(candidates, texts))

        home, folder = self.root / entry.client, self._folder(entry)
        made_folder(home)
        over = [uploads.find(getattr(entry, name), home, name) for name in ("source", "mask")]
        pictures = drawn_over(*over, entry.plan.settings)
        with claimed(folder):
            study = begin(folder, entry.plan, pictures, self.worker.device, drew)
            missing = study.missing()
        return Drawing(entry, study, len(missing)), missing

    def _finish(self, drawing: Drawing) -> None:
        """All pictures of a study were tried."""
        try:
            drawing.study.export()
        except Exception as error:
            if not isinstance(error, SynthError):
                log.exception("a study could not be finished")
            self.broke(drawing, str(error) if isinstance(error, SynthError) else UNEXPECTED)
            return
        with self._lock:
            if not drawing.ended:
                self._end(drawing.entry, DONE, "")

    def _end(self, entry: Entry, state: str, reason: str) -> State:
        """Note and tell how a request ended; what waits of it is dropped."""
        with self._lock:
            drawing = self._drawings.pop((entry.client, entry.study), None)
            if drawing is not None:
                drawing.ended = True
                self.turns.drop(drawing)
            left = drawing.left if drawing is not None else entry.left
            return self._tell(self.queue.change(entry, state, left, reason))

    def _tell(self, entry: Entry) -> State:
        state = self.state(entry)
        self.hub.tell((entry.client, entry.study), Event("state", asdict(state)))
        return state

    def _ended(self, entry: Entry) -> Study:
        if entry.state in UNFINISHED:
            raise Refused(409, "this study is not finished; ask again when its state is done")
        return self.study(entry)

    def _folder(self, entry: Entry) -> Path:
        return self.root / entry.client / entry.study

    def _warm_up(self) -> None:
        """Load the first renderer, so that the first request does not wait for it."""
        for offer in self.catalogue.offers.values():
            if offer.kind == "renderer" and offer.present:
                self.worker.load(resolve(offer.source, "renderer", loras=offer.loras), advised(offer.source))
                break
        self.ready.set()


def _drawn(candidates: int, texts: list[str]) -> Event:
    """How far GPT-2 is; see `synth.expansion.expand`."""
    return Event("drawn", {"candidates": candidates, "texts": texts})


def _check_with_model(plan: Plan) -> None:
    """InputError for settings that a model of the plan does not take."""
    jobs = plan.jobs(plan.prompts or (plan.phrase,))
    folder = configs(check_model(plan.model))
    for settings in {job.settings for job in jobs}:
        check_settings(folder, settings, strict=plan.strict, over_picture=bool(plan.source))


def _alike(plan: Plan, job: Job) -> tuple[Any, ...]:
    """What the jobs of one call of the model have in common."""
    settings = job.settings
    return job.model, plan.strict, settings.precision, settings.width, settings.height


def _known(value: Any) -> Future:
    future: Future = Future()
    future.set_result(value)
    return future
