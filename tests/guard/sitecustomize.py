"""A guard over every Python process that has this folder on its PYTHONPATH, as an audit hook; Python loads it first.

The network leads nowhere but to this machine, and what was looked for elsewhere is noted. GUARD in the environment has
the file of notes and, after it, the only folders in which files may be written, if any are named; colons between them.
"""

import errno
import os
import sys

LOCAL = ("127.0.0.1", "0.0.0.0", "localhost", "::1", None, "")
NOTES, *WRITABLE = os.environ.get("GUARD", "").split(":")
CALLS = {"socket.connect": 1, "socket.sendto": 1, "socket.getaddrinfo": 0}  # which argument is the address


def watch(event, arguments):
    """OSError for what must not be done."""
    if event in CALLS:
        address = arguments[CALLS[event]]
        host = address[0] if isinstance(address, tuple) else address if event == "socket.getaddrinfo" else None
        if (host.decode() if isinstance(host, bytes) else host) not in LOCAL:
            os.write(NOTED, f"{event} {host!r}\n".encode())
            raise OSError(errno.ENETUNREACH, "the network is blocked", str(host))
    elif event == "open" and WRITABLE and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        path = os.path.realpath(os.fsdecode(arguments[0])) if isinstance(arguments[0], (str, bytes)) else "/dev/"
        if not f"{path}/".startswith(("/dev/", *(f"{folder}/" for folder in WRITABLE))):
            raise OSError(errno.EROFS, "Read-only file system", path)


if NOTES:
    NOTED = os.open(NOTES, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o666)
    sys.addaudithook(watch)
