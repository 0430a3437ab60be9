"""The page ends when it is told to, whoever is still connected."""

import os
import time
from threading import Thread

from synth.page.joined import Joined
from synth.page.own_service import stop

FAREWELL = 5  # seconds for what visitors are being shown
LONGEST = 10.0  # seconds after which the page itself is not waited for; its service may finish the batch in hand


def leave_in_time(service: Joined) -> None:
    """End this process and its service some seconds from now, unless it has ended by itself.

    Streamlit waits for scripts that wait for an answer.
    """
    Thread(target=_end, args=(service,), daemon=True, name="synth-leaving").start()


def _end(service: Joined) -> None:
    time.sleep(LONGEST)
    if service.process is not None:
        stop(service.process)
    os._exit(0)
