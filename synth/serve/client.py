"""The service as Python: what the web page and the chat example talk through.

>>> from synth.serve.client import Client
>>> with Client() as synth:                                      # doctest: +SKIP
...     state = synth.study("a red lighthouse", n=2, seeds=2)
...     for event in synth.events(state.id): print(event.kind)

It needs httpx, and neither torch nor FastAPI.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Self

import httpx

from synth.errors import SynthError
from synth.jobs import ExpansionSettings, Settings
from synth.serve.answers import SESSION, Drawn, Expanded, Heat, Measured, Offered, State, Uploaded

SLOW = httpx.Timeout(10.0, read=600.0)  # seconds; reports, measures and heat maps wait for the model
SILENCE = 60.0  # seconds without a sign of life in a stream of events, which has one every 15

Changes = Settings | ExpansionSettings | Mapping[str, Any]
AS_ADVISED: Changes = MappingProxyType({})


class ServiceError(SynthError):
    """What the service refused, in its own sentence.

    status: of HTTP, 0 where it could not be reached. retry_after: seconds, where waiting helps.
    """

    def __init__(self, status: int, detail: str, retry_after: float | None = None) -> None:
        self.status, self.retry_after = status, retry_after
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. kind: "state", "drawn", "prompts", "preview", "picture", "expansion"; data: as JSON has it."""

    kind: str
    data: Any


class Client:
    """A connection to a service; close it, or use it in a `with` block.

    key: one of the server's. session: tells people apart who share a key, as those who use one page do.
    patience: for how many seconds a request is tried again where the queue is full.
    settings and expansion of requests: only what is not to be as advised. Every call raises ServiceError.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str | None = None, *, session: str = "", patience: float = 0.0
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        headers |= {SESSION: session} if session else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=SLOW, trust_env=False)
        self._patience = patience

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def offered(self) -> Offered:
        """Models, schedulers, measures and limits."""
        return Offered.read(self._json("GET", "/v1/models"))

    def expand(
        self, phrase: str, *, n: int = 4, seed: int = 0, expansion: Changes = AS_ADVISED, **more: Any
    ) -> Expanded:
        """Prompts for a phrase. more: expander, model."""
        body = {"phrase": phrase, "n": n, "seed": seed, "expansion": _given(expansion), **more}
        return Expanded.read(self._json("POST", "/v1/expand", json=body))

    def expanding(
        self, phrase: str, *, n: int = 4, seed: int = 0, expansion: Changes = AS_ADVISED, **more: Any
    ) -> Iterator[Event]:
        """The same as events: about ten times a second "drawn", and at last "expansion".

        "drawn" is {"candidates": how many so far, "texts": the first 8 of those in hand, as far as they are written}.
        """
        body = {"phrase": phrase, "n": n, "seed": seed, "expansion": _given(expansion), **more}
        for event in self._stream("POST", "/v1/expand/events", json=body):
            if event.kind == "problem":
                raise ServiceError(event.data["status"], event.data["detail"])
            yield event

    def study(
        self, phrase: str, *, settings: Changes = AS_ADVISED, expansion: Changes = AS_ADVISED, **more: Any
    ) -> State:
        """Have a phrase expanded and rendered. more: n, expander, and what `render` takes."""
        body = {"phrase": phrase, "settings": _given(settings), "expansion": _given(expansion), **more}
        return State.read(self._json("POST", "/v1/studies", json=body))

    def render(self, prompts: Sequence[str], *, settings: Changes = AS_ADVISED, **more: Any) -> State:
        """Have prompts rendered. more: phrase, seeds, seed, model, speed, strict, axes, source, mask, detached."""
        body = {"prompts": list(prompts), "settings": _given(settings), **more}
        return State.read(self._json("POST", "/v1/render", json=body))

    def studies(self) -> list[State]:
        """All of one's studies, the latest first."""
        return [State.read(item) for item in self._json("GET", "/v1/studies")]

    def drawn(self, study: str) -> Drawn:
        """A study with its pictures, finished or not. study: the id of its state, here and below."""
        return Drawn.read(self._json("GET", f"/v1/studies/{study}"))

    def events(self, study: str) -> Iterator[Event]:
        """What happens to a study until it has ended; begins with what has happened already."""
        return self._stream("GET", f"/v1/studies/{study}/events")

    def wait(self, study: str) -> Drawn:
        """A study when it has ended."""
        while not (drawn := self.drawn(study)).state.ended:
            for event in self.events(study):
                if event.kind == "state" and State.read(event.data).ended:
                    break
        return drawn

    def picture(self, study: str, key: str) -> bytes:
        """A finished picture's PNG."""
        return self._request("GET", f"/v1/studies/{study}/pictures/{key}").content

    def words(self, study: str, key: str) -> Heat:
        """Which word drew what in a finished picture."""
        return Heat.read(self._json("GET", f"/v1/studies/{study}/pictures/{key}/words"))

    def log(self, study: str) -> list[dict[str, Any]]:
        """The rows of a study's pictures, by column."""
        return self._json("GET", f"/v1/studies/{study}/log")

    def log_csv(self, study: str) -> bytes:
        """The same as CSV."""
        return self._request("GET", f"/v1/studies/{study}/log", params={"format": "csv"}).content

    def measure(self, study: str, measures: Sequence[str] = ()) -> list[Measured]:
        """Measure a finished study."""
        found = self._json("POST", f"/v1/studies/{study}/measures", json={"measures": list(measures)})
        return [Measured.read(item) for item in found]

    def report(self, study: str) -> str:
        """The page of a finished study."""
        return self._request("GET", f"/v1/studies/{study}/report").text

    def zip(self, study: str) -> bytes:
        """Everything of a finished study."""
        return self._request("GET", f"/v1/studies/{study}/zip").content

    def cancel(self, study: str) -> State:
        """Give up what is not rendered yet."""
        return State.read(self._json("DELETE", f"/v1/studies/{study}"))

    def upload(self, picture: bytes) -> str:
        """Send a picture's file to draw over; the digest to give as `source` or `mask`."""
        headers = {"Content-Type": "application/octet-stream"}
        return Uploaded.read(self._json("POST", "/v1/uploads", content=picture, headers=headers)).digest

    def _json(self, method: str, path: str, **how: Any) -> Any:
        return self._request(method, path, **how).json()

    def _request(self, method: str, path: str, **how: Any) -> httpx.Response:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                answer = self._http.request(method, path, **how)
            except httpx.HTTPError as error:
                raise _unreachable(self._http.base_url, error) from None
            if answer.is_success:
                return answer
            refused = _refused(answer)
            wait = min(refused.retry_after or 1.0, max(0.0, deadline - time.monotonic()))
            if answer.status_code != 429 or not wait:
                raise refused
            time.sleep(wait)

    def _stream(self, method: str, path: str, **how: Any) -> Iterator[Event]:
        try:
            with self._http.stream(method, path, timeout=httpx.Timeout(10.0, read=SILENCE), **how) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refused(answer)
                yield from _events(answer.iter_lines())
        except httpx.HTTPError as error:
            raise _unreachable(self._http.base_url, error) from None


def _events(lines: Iterator[str]) -> Iterator[Event]:
    """The events of a stream (HTML Standard, section 9.2.6); those of this service have one line of data each."""
    kind = "message"
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield Event(kind, json.loads(value))


def _given(settings: Changes) -> dict[str, Any]:
    return asdict(settings) if is_dataclass(settings) else dict(settings)


def _refused(answer: httpx.Response) -> ServiceError:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"the service answered {answer.status_code} {answer.reason_phrase}"
    after = answer.headers.get("Retry-After", "")
    return ServiceError(answer.status_code, detail, float(after) if after.isdecimal() else None)


def _unreachable(url: httpx.URL, error: httpx.HTTPError) -> ServiceError:
    reason = str(error) or type(error).__name__
    return ServiceError(0, f"no service answers at {url} ({reason}); start one with `synth serve`, or give its address")
