"""What a worker sends back for an item, and what becomes of an item that kills its workers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from synth.errors import RenderError, SynthError

PATIENCE = 1800.0  # seconds without any answer, after which workers count as stuck
ATTEMPTS = 3  # deaths of workers over an item until that is given up


@dataclass(frozen=True)
class Trouble:
    """What a worker sends instead of an answer when its task raised an error. message: one sentence."""

    message: str


def attempt(task: Callable[[Any], Any], item: Any) -> Any:
    """The task's answer for an item, in a worker; a Trouble where it raised an error."""
    try:
        return task(item)
    except SynthError as error:
        return Trouble(str(error))
    except Exception as error:
        return Trouble(f"{type(error).__name__}: {error}")


def checked(answer: Any) -> Any:
    """An answer of `attempt`; raises the error that it may be instead."""
    if isinstance(answer, Trouble):
        raise RenderError(answer.message)
    return answer


def given_up(what: str) -> RenderError:
    """The answer for an item over which worker after worker died."""
    remedy = "if memory ran out, choose a smaller batch or fewer workers"
    return RenderError(f"{ATTEMPTS} workers died over it, the last {what}; {remedy}")
