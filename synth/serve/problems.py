"""What went wrong, as problem details (RFC 9457): one sentence, the same that the command line prints."""

import errno
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from synth.errors import InputError, StudyError, SynthError

MEDIA_TYPE = "application/problem+json"
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
log = logging.getLogger("synth.serve")
UNEXPECTED = "something went wrong here that is not your fault; the server's log says what"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """status: the HTTP status; title: its name; detail: what is wrong and what to do, in one sentence."""

    status: int
    title: str
    detail: str
    type: str = "about:blank"


class Refused(SynthError):
    """A request that is refused with an HTTP status of its own. retry_after: seconds, where waiting helps."""

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        self.status, self.retry_after = status, retry_after
        super().__init__(detail)


def unauthorized() -> Refused:
    """401."""
    return Refused(401, "give one of the server's keys, as the header Authorization: Bearer KEY")


def not_found(what: str) -> Refused:
    """404, also for what belongs to another client."""
    return Refused(404, f"there is no such {what} of yours")


def full(retry_after: float) -> Refused:
    """429, to be tried again after some seconds."""
    seconds = max(1, min(600, round(retry_after)))
    return Refused(429, f"the queue is full; try again in {seconds} seconds", seconds)


def install(app: FastAPI, root: Path) -> None:
    """Answer every error of `app` with a problem; paths below `root` are told relative to it."""

    def of_synth(request: Request, error: Exception) -> JSONResponse:
        status = getattr(error, "status", None) or (409 if isinstance(error, StudyError) else 422)
        headers = {"Retry-After": str(error.retry_after)} if getattr(error, "retry_after", None) else {}
        headers |= {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        return _answer(status, str(error).replace(f"{root}/", "").replace(str(root), "the server"), headers)

    def of_http(request: Request, error: Exception) -> JSONResponse:
        return _answer(error.status_code, str(error.detail), error.headers)

    def of_validation(request: Request, error: Exception) -> JSONResponse:
        return _answer(422, _sentence(error.errors()))

    def of_system(request: Request, error: Exception) -> JSONResponse:
        if error.errno not in DISK:
            return of_anything(request, error)
        log.error("%s %s: %s", request.method, request.url.path, error)
        return _answer(507, f"the server's disk cannot be used ({error.strerror}); ask again when that is put right")

    def of_anything(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s", request.method, request.url.path, exc_info=error)
        return _answer(500, UNEXPECTED)

    app.add_exception_handler(SynthError, of_synth)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(OSError, of_system)
    app.add_exception_handler(Exception, of_anything)


def _answer(status: int, detail: str, headers: Any = None) -> JSONResponse:
    problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(problem, status, headers, MEDIA_TYPE)


def _sentence(errors: Sequence[Any]) -> str:
    """What is wrong with the first value that has the wrong type or name."""
    first = errors[0]
    field = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path")) or "body"
    if first["type"] == "json_invalid":
        return f"body: it is no JSON ({first['ctx']['error']}); send an object"
    if first["type"] == "missing":
        return f"{field}: it is missing; give it"
    if first["type"] == "extra_forbidden":
        return f"{field}: there is no such field; leave it out"
    return str(InputError(field, first.get("input"), first["msg"][:1].lower() + first["msg"][1:]))
