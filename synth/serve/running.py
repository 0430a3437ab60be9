"""A server process: checked, started, and stopped without losing anything."""

import logging
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from synth.errors import InputError
from synth.jobs import check_whole
from synth.serve.app import create_app
from synth.serve.catalogue import DEFAULT, Catalogue
from synth.serve.keys import LOOPBACK, VARIABLE, Keys
from synth.serve.limits import Limits
from synth.serve.service import LIMITS, Service
from synth.writing.tokens import TruncationWarning

CONNECTIONS = 1000
FAREWELL = 10  # seconds for answers that are on their way


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How to serve. models: see `Catalogue`; keys: a file with a key a line; out: the root of all clients' folders."""

    host: str = "127.0.0.1"
    port: int = 8000
    out: Path = Path("generated_images")
    models: tuple[str, ...] = DEFAULT
    keys: Path | None = None
    limits: Limits = LIMITS
    device: str = "auto"
    dtype: str = "auto"


def serve(how: Serving) -> None:
    """Serve until SIGTERM or Ctrl-C; the batch in hand is then finished, and the rest is kept for the next start.

    InputError, ModelError or StudyError before anything is served, as for a host that others can reach without keys.
    """
    check_whole("port", how.port, 0, 65535)
    keys = Keys(how.keys)
    if how.host not in LOOPBACK and not keys.wanted:
        remedy = f"give --keys FILE or {VARIABLE} before others than this machine may ask, or use 127.0.0.1"
        raise InputError("host", how.host, remedy)
    catalogue = Catalogue(how.models)
    warnings.simplefilter("ignore", TruncationWarning)  # clients read it from their prompts
    service = Service(how.out, catalogue, how.limits, how.device, how.dtype)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s: %(message)s")
    config = uvicorn.Config(
        create_app(service, keys), host=how.host, port=how.port, log_level="info", access_log=False,
        limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=FAREWELL, server_header=False,
        headers=[("X-Content-Type-Options", "nosniff")],
    )  # fmt: skip
    _Server(config, service).run()


class _Server(uvicorn.Server):
    """Ends the streams of events when it is told to stop: they would otherwise keep it waiting."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list | None = None) -> None:
        self._service.hub.close()
        await super().shutdown(sockets)
