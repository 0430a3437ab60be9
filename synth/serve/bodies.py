"""The bodies of requests: bounded in bytes before they are read, and not waited for longer than is decent."""

import asyncio
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATIENCE = 20.0  # seconds for a whole body
CLOSE = {"Connection": "close"}  # what was not read is in the way of another request


class Bounded:
    """Middleware: a body that is too large is answered with 413, one that is not there in time with 408.

    most: bytes; larger: bytes of paths that may be sent more.
    """

    def __init__(self, app: ASGIApp, most: int, larger: Mapping[str, int], patience: float = PATIENCE) -> None:
        self.app, self.most, self.larger, self.patience = app, most, larger, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self.patience
        left, whole = self.larger.get(scope["path"], self.most), False

        async def bounded() -> Message:
            nonlocal left, whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                detail = f"the body of the request was not there within {self.patience:g} seconds; send it again"
                raise HTTPException(408, detail, CLOSE) from None
            left -= len(message.get("body", b""))
            if left < 0:
                most = self.larger.get(scope["path"], self.most)
                raise HTTPException(413, f"the body of the request is larger than {most:,} bytes; send less", CLOSE)
            whole = not message.get("more_body", False)
            return message

        await self.app(scope, bounded, send)
