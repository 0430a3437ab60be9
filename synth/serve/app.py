"""The routes: what is asked over HTTP, and what is answered."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Body, Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from synth import __version__
from synth.errors import SynthError
from synth.records.rows import to_csv
from synth.serve import problems
from synth.serve.answers import SESSION, Drawn, Expanded, Heat, Measured, Offered, State, Uploaded
from synth.serve.asks import ExpandAsk, MeasureAsk, RenderAsk, StudyAsk
from synth.serve.bodies import Bounded
from synth.serve.departures import Departures
from synth.serve.events import Event, Mailbox
from synth.serve.keys import LOOPBACK, Keys
from synth.serve.metrics import Counted
from synth.serve.problems import Problem, Refused
from synth.serve.queue import Entry
from synth.serve.service import Service

UPLOADS = "/v1/uploads"
LISTEN = 5.0  # seconds without an event, after which it is noted that the client is still there; or less by patience
SWEEP = 1.0  # seconds between looks for clients that are gone
PAGE_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
DESCRIPTION = """A phrase becomes prompts (GPT-2), and prompts become pictures (Stable Diffusion).

A request for pictures is a study, as `synth study` makes it. Ask for it, listen to its events, fetch what is finished.
"""
PICTURE = {200: {"content": {"image/png": {}}, "description": "the PNG as it is kept, which carries its job"}}
PAGE = {200: {"content": {"text/html": {}}, "description": "one file that opens offline"}}
ZIP = {200: {"content": {"application/zip": {}}, "description": "pictures, log, plan and report"}}
LOG = {200: {"content": {"application/json": {}, "text/csv": {}}, "description": "a row for each picture"}}
UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def create_app(service: Service, keys: Keys) -> FastAPI:
    """The application of a service. Without keys it answers only who calls it by a name of this very machine."""
    app = FastAPI(
        title="Synth", version=__version__, description=DESCRIPTION, docs_url=None, redoc_url=None,
        lifespan=_lifespan,
        responses={status: {"model": Problem, "description": what} for status, what in _PROBLEMS.items()},
    )  # fmt: skip
    app.state.service, app.state.keys = service, keys
    problems.install(app, service.root)
    app.add_middleware(Departures)
    app.add_middleware(Counted, metrics=service.metrics)
    app.add_middleware(Bounded, most=service.limits.body_bytes, larger={UPLOADS: service.limits.upload_bytes})
    for add in (_add_health, _add_models, _add_asking, _add_following, _add_fetching, _add_more):
        add(app, service)
    return app


_PROBLEMS = {
    401: "no key, or none that is good", 404: "nothing of yours", 409: "not yet", 413: "too large",
    422: "a value that cannot be used", 429: "the queue is full: try again after the seconds in Retry-After",
}  # fmt: skip


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    await run_in_threadpool(service.start)
    sweeping = asyncio.create_task(_sweep(service))
    try:
        yield
    finally:
        sweeping.cancel()
        await run_in_threadpool(service.stop)


async def _sweep(service: Service) -> None:
    while True:
        await asyncio.sleep(SWEEP)
        with suppress(SynthError):  # a full disk is told to those who ask for something
            await run_in_threadpool(service.give_up_on_the_silent)


def _client(
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
    session: Annotated[
        str, Header(alias=SESSION, max_length=200, description="tells people apart who share a key")
    ] = "",
) -> str:
    """Who asks: 16 digits that stand for a key and a session. Refused with 401."""
    keys: Keys = request.app.state.keys
    key = ""
    if keys.wanted:
        key = keys.digest_of(given.credentials) if given is not None else None
        if key is None:
            raise problems.unauthorized()
    elif _host(request) not in LOOPBACK:
        raise Refused(421, "this server answers only to localhost; start it with keys to open it to others")
    client = hashlib.sha256(f"{key}\n{session}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    request.app.state.service.presence.heard(client)
    return client


def _host(request: Request) -> str | None:
    """What the client calls this server, without its port."""
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:
        return None


Client = Annotated[str, Depends(_client)]
StudyId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="the id of a study", examples=["0123456789abcdef"])]
Key = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="the key of a picture")]


def _entry(request: Request, client: Client, study: StudyId) -> Entry:
    return request.app.state.service.find(client, study)


Own = Annotated[Entry, Depends(_entry)]


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", tags=["server"])
    def healthz() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["server"], responses={503: {"model": Problem}})
    def readyz() -> dict[str, str]:
        """Whether pictures can be rendered: 503 while the first model is being loaded."""
        if not (service.ready.is_set() and service.worker.is_alive()):
            raise Refused(503, "the model is not loaded yet", 1)
        return {"status": "ok"}

    @app.get("/metrics", tags=["server"], response_class=PlainTextResponse)
    def metrics(client: Client) -> PlainTextResponse:
        """Counters for Prometheus."""
        return PlainTextResponse(service.metrics.text())


def _add_models(app: FastAPI, service: Service) -> None:
    @app.get("/v1/models", tags=["ask"])
    def models(client: Client) -> Offered:
        """Models, schedulers and measures, and the most that a request may ask for."""
        return service.offered()


def _add_asking(app: FastAPI, service: Service) -> None:
    @app.post("/v1/expand", tags=["ask"])
    async def expand(client: Client, ask: ExpandAsk) -> Expanded:
        """Let GPT-2 write prompts for a phrase; nothing is rendered."""
        return await asyncio.wrap_future(service.expand(client, ask))

    @app.post("/v1/expand/events", tags=["ask"], response_class=EventSourceResponse)
    async def expand_events(client: Client, ask: ExpandAsk) -> AsyncIterator[ServerSentEvent]:
        """The same, told while it goes on: events `drawn`, then `expansion` or `problem`.

        About ten times a second `drawn` says how many candidates GPT-2 has written so far, and the first 8 texts of
        those in hand, as far as they are written: `{"candidates": 32, "texts": ["a red house in", ...]}`.
        """
        topic, future = object(), None
        with service.hub.listening(topic) as mailbox:
            try:
                future = service.expand(client, ask, mailbox.put)
                future.add_done_callback(lambda _: mailbox.close())
                while event := await _next(mailbox, service, client):
                    yield _sse(event)
                yield _sse(Event("expansion", asdict(await asyncio.wrap_future(future))))
            except SynthError as error:
                yield _sse(Event("problem", {"status": getattr(error, "status", 422), "detail": str(error)}))
            finally:
                if future is not None:
                    future.cancel()  # nobody waits for it any more, where it has not begun

    @app.post("/v1/studies", tags=["ask"], status_code=202)
    def draw_phrase(client: Client, ask: StudyAsk) -> State:
        """Expand a phrase and render every prompt with every seed. The same request again is the same study."""
        return service.draw(client, ask)

    @app.post("/v1/render", tags=["ask"], status_code=202)
    def draw_prompts(client: Client, ask: RenderAsk) -> State:
        """Render your own prompts, as a study."""
        return service.draw(client, ask)

    @app.post(UPLOADS, tags=["ask"], openapi_extra=UPLOAD, status_code=201)
    async def upload(client: Client, request: Request) -> Uploaded:
        """Send a picture (PNG, JPEG, WEBP, GIF, BMP or TIFF) to draw over, as the body of the request."""
        return Uploaded(digest=await asyncio.wrap_future(service.upload(client, await request.body())))


def _add_following(app: FastAPI, service: Service) -> None:
    @app.get("/v1/studies", tags=["follow"])
    def studies(client: Client) -> list[State]:
        """Your studies, the latest first."""
        return [service.state(entry) for entry in service.queue.of(client)]

    @app.get("/v1/studies/{study}", tags=["follow"])
    def drawn(entry: Own) -> Drawn:
        """A study with all its pictures, finished or not."""
        return service.drawn(entry)

    @app.get("/v1/studies/{study}/events", tags=["follow"], response_class=EventSourceResponse)
    async def events(client: Client, entry: Own) -> AsyncIterator[ServerSentEvent]:
        """What happens to a study until it has ended: `state`, `drawn`, `prompts`, `preview` and `picture`.

        `drawn` is as for an expansion; a preview is a small JPEG as a data URI. Who reads slowly misses some of these
        two kinds, and nothing else.
        """
        with service.hub.listening((entry.client, entry.study)) as mailbox:
            known = await run_in_threadpool(lambda: service.drawn(service.find(entry.client, entry.study)))
            for event in _so_far(known):
                yield _sse(event)
            ended = known.state.ended
            while not ended and (event := await _next(mailbox, service, client)):
                yield _sse(event)
                ended = event.kind == "state" and event.data["state"] in ("done", "failed", "cancelled")

    @app.delete("/v1/studies/{study}", tags=["follow"])
    def cancel(entry: Own) -> State:
        """Give up what is not rendered yet; finished pictures stay."""
        return service.cancel(entry)


def _add_fetching(app: FastAPI, service: Service) -> None:
    @app.get("/v1/studies/{study}/pictures/{key}", tags=["fetch"], response_class=FileResponse, responses=PICTURE)
    def picture(entry: Own, key: Key) -> FileResponse:
        """A finished picture, which carries how it was made."""
        cached = {"Cache-Control": "private, max-age=31536000, immutable"}
        return FileResponse(service.picture(entry, key)[2], media_type="image/png", headers=cached)

    @app.get("/v1/studies/{study}/log", tags=["fetch"], responses=LOG)
    def log(entry: Own, form: Annotated[str, Query(alias="format", pattern="^(json|csv)$")] = "json") -> Response:
        """The rows of all finished and failed pictures, with their measures."""
        frame = service.study(entry).frame()
        if form == "csv":
            return Response(to_csv(frame), media_type="text/csv; charset=utf-8")
        text = frame.to_json(orient="records", force_ascii=False, date_format="iso")
        return Response(text, media_type="application/json")

    @app.get("/v1/studies/{study}/report", tags=["fetch"], response_class=HTMLResponse, responses=PAGE)
    async def report(entry: Own) -> FileResponse:
        """The report of a finished study; the first time it takes some seconds to be made."""
        page = await asyncio.wrap_future(await run_in_threadpool(service.report, entry))
        return FileResponse(page, media_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY})

    @app.get("/v1/studies/{study}/zip", tags=["fetch"], response_class=FileResponse, responses=ZIP)
    async def archive(entry: Own) -> FileResponse:
        """Everything of a finished study in one file."""
        path = await asyncio.wrap_future(await run_in_threadpool(service.archive, entry))
        return _Once(path, media_type="application/zip", filename=f"synth-{entry.study}.zip")


def _add_more(app: FastAPI, service: Service) -> None:
    @app.post("/v1/studies/{study}/measures", tags=["look closer"])
    async def measures(entry: Own, ask: Annotated[MeasureAsk, Body()]) -> list[Measured]:
        """Measure a finished study; the log has a column for each from then on."""
        return await asyncio.wrap_future(await run_in_threadpool(service.measure, entry, ask.measures))

    @app.get("/v1/studies/{study}/pictures/{key}/words", tags=["look closer"])
    async def words(entry: Own, key: Key) -> Heat:
        """Which word drew what in a finished picture: a heat map for each word."""
        return await asyncio.wrap_future(await run_in_threadpool(service.heat, entry, key))


async def _next(mailbox: Mailbox, service: Service, client: str) -> Event | None:
    """The next event; None when none will come. Meanwhile its client counts as present."""
    while True:
        service.presence.heard(client)
        event = await mailbox.get(min(LISTEN, service.limits.patience / 4))
        if event is not None or mailbox.closed:
            return event


def _so_far(known: Drawn) -> list[Event]:
    """What a listener who comes late has missed."""
    found = [Event("prompts", [asdict(prompt) for prompt in known.prompts])] if known.prompts else []
    found += [
        Event("picture", {"key": picture.key, "status": picture.status, "error": picture.error})
        for picture in known.pictures
        if picture.status != "waiting"
    ]
    return [*found, Event("state", asdict(known.state))]


class _Once(FileResponse):
    """A temporary file, which is gone once it was sent, or could not be."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            FilePath(self.path).unlink()


def _sse(event: Event) -> ServerSentEvent:
    return ServerSentEvent(event=event.kind, data=event.data)
