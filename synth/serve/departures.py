"""Clients that vanish while they listen to events."""

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send


class Departures:
    """Middleware that lets them go.

    FastAPI's server-sent events raise where a client goes away while an event is being sent to it
    (https://github.com/fastapi/fastapi/discussions/15725): an error in the log for what is no error.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except* (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
