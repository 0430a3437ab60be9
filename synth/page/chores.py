"""Something that the service does for a visitor meanwhile, in a thread, so that the page stays usable."""

import logging
from collections.abc import Callable
from threading import Thread
from typing import Any, Generic, TypeVar

from synth.errors import SynthError
from synth.page.joined import joined
from synth.serve.client import ServiceError

T = TypeVar("T")
Tell = Callable[[dict[str, Any]], None]
UNEXPECTED = "something went wrong on this page that is not your fault; its log says what"


class Chore(Generic[T]):
    """A piece of work that is under way from the start on.

    work: is given `tell`, with which it says how far it is. told: what it said last, empty before that.
    result: None until it is done. trouble: one sentence.
    """

    def __init__(self, work: Callable[[Tell], T]) -> None:
        self.told: dict[str, Any] = {}
        self.trouble = ""
        self.result: T | None = None
        self._thread = Thread(target=self._run, args=(work,), daemon=True, name="synth-chore")
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether it is still under way."""
        return self._thread.is_alive()

    def _run(self, work: Callable[[Tell], T]) -> None:
        try:
            self.result = work(self._tell)
        except Exception as error:
            self.trouble = sentence(error)

    def _tell(self, told: dict[str, Any]) -> None:
        self.told = told


def sentence(error: Exception) -> str:
    """What a visitor is told of an error; one that nobody foresaw is logged."""
    if isinstance(error, ServiceError):
        return joined().sentence(error)
    if isinstance(error, SynthError):
        return str(error)
    logging.getLogger("synth.page").error("the page failed", exc_info=error)
    return UNEXPECTED
