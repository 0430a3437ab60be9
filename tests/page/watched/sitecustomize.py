"""Python imports this first of all: only this machine can be reached, and attempts are noted in the file NOTES."""

import os
import sys

LOCAL = ("127.0.0.1", "localhost", "::1", "0.0.0.0", None, "")
NOTES = os.open(os.environ["NOTES"], os.O_CREAT | os.O_WRONLY | os.O_APPEND)


def watch(event: str, arguments: tuple) -> None:
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        host = address[0] if isinstance(address, tuple) else address
        if host not in LOCAL:
            os.write(NOTES, f"{event} {host!r}\n".encode())
            raise OSError(f"the network is blocked: {host!r}")


sys.addaudithook(watch)
