"""A study as it happens: a thread listens to the service's events, and the page looks at what is known by then."""

import io
import time
from collections import deque
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

from PIL import Image

from synth.page.chores import sentence
from synth.page.pictures import Kept, keep
from synth.serve.answers import Picture, State
from synth.serve.client import Client, ServiceError
from synth.writing.prompts import Prompt

RETRY = 1.0  # seconds between two looks whether a service that went away is back
LONGEST = 256  # pixels of a picture in the grid
RECENT = 16  # pictures from which the rate is known
TRIED = ("done", "failed")
GONE = (401, 404)  # to try again would not help
DAMAGED = 409  # of a picture that is finished


@dataclass(slots=True)
class Shown:
    """A picture in the grid.

    status: "waiting", "forming", "done" or "failed"; told: more of its status; image: the address of `kept`, or a data
    URI while it forms.
    """

    picture: Picture
    status: str = "waiting"
    image: str = ""
    told: str = ""
    kept: Kept | None = None


class Following:
    """What is known of a study: `state`, `prompts`, and `shown`, its pictures by their keys in the grid's order.

    client: for this alone. trouble: why nothing more is known, "" while all is well. ended: whether nothing changes any
    more.
    """

    def __init__(self, client: Client, study: str) -> None:
        self.study, self.trouble, self.ended = study, "", False
        self.state: State | None = None
        self.prompts: list[Prompt] = []
        self.shown: dict[str, Shown] = {}
        self._client, self._stopped = client, Event()
        self._finished: deque[float] = deque(maxlen=RECENT)
        self._began = time.monotonic()
        Thread(target=self._run, daemon=True, name="synth-following").start()

    def stop(self) -> None:
        """Listen no longer: the service then knows that nobody waits."""
        self._stopped.set()
        self._client.close()

    @property
    def done(self) -> int:
        """How many pictures were tried."""
        return sum(item.status in TRIED for item in self.shown.values())

    @property
    def rate(self) -> float | None:
        """Pictures a second, lately; None before two are finished."""
        if len(self._finished) < 2:
            return None
        first = self._began if len(self._finished) < RECENT else self._finished[0]
        return len(self._finished) / max(self._finished[-1] - first, 1e-3)

    def _run(self) -> None:
        while not (self.ended or self._stopped.is_set()):
            try:
                self._listen()
            except Exception as error:
                if self._stopped.is_set():
                    return
                self.trouble = sentence(error)
                self.ended = not isinstance(error, ServiceError) or error.status in GONE
            if not self.ended:
                self._stopped.wait(RETRY)

    def _listen(self) -> None:
        """Hear everything until the study has ended, or the service goes away."""
        self._look()
        for event in self._client.events(self.study):
            self.trouble = ""
            if self._stopped.is_set():
                return
            self._heard(event.kind, event.data)
            if self.state.ended:
                self._look()
                self.ended = True
                return

    def _look(self) -> None:
        """See the study as it is, and fetch what is finished."""
        drawn = self._client.drawn(self.study)
        self.prompts, self.trouble = drawn.prompts, ""
        for picture in drawn.pictures:
            item = self.shown.setdefault(picture.key, Shown(picture))
            item.picture = picture
            self._tried(item, picture.status, picture.error)
        self.state = drawn.state

    def _heard(self, kind: str, data: Any) -> None:
        if kind == "state":
            self.state = State.read(data)
        elif kind == "prompts" and not self.shown:
            self._look()
        elif kind in ("preview", "picture") and data["key"] in self.shown:
            item = self.shown[data["key"]]
            if item.status in TRIED:
                return
            if kind == "picture":
                self._tried(item, data["status"], data["error"])
                self._finished.append(time.monotonic())
            else:
                item.status, item.image, item.told = "forming", data["image"], f"step {data['step']} of {data['steps']}"

    def _tried(self, item: Shown, status: str, error: str) -> None:
        """Note what became of a picture; a finished one is fetched once."""
        if status == "done" and item.status != "done":
            try:
                item.kept = small(self._client.picture(self.study, item.picture.key))
            except (ServiceError, OSError) as problem:
                if isinstance(problem, ServiceError) and problem.status != DAMAGED:
                    raise
                status, error = "failed", f"its file is damaged: {problem}"
            else:
                item.image, item.told = item.kept.address, ""
        if status in TRIED:
            item.status, item.told = status, error or item.told * (status != "done")


def small(png: bytes) -> Kept:
    """A picture no larger than a place in the grid."""
    with Image.open(io.BytesIO(png)) as picture:
        if max(picture.size) <= LONGEST:
            return keep(png)
        picture.thumbnail((LONGEST, LONGEST))
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "JPEG", quality=88)
    return keep(buffer.getvalue(), "image/jpeg")
