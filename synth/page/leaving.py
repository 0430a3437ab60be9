"""The page ends when it is told to, whoever is still connected."""

import os
import time
from threading import Thread

from streamlit.runtime import Runtime
from streamlit.runtime.runtime import RuntimeState

from synth.page.joined import Joined
from synth.page.own_service import stop

ENDING = (RuntimeState.STOPPING, RuntimeState.STOPPED)
LOOK = 0.5  # seconds between two looks whether it was told
FAREWELL = 10.0  # seconds for what visitors are being shown


def leave_in_time(service: Joined) -> None:
    """End this process and its service where Streamlit has not ended some seconds after SIGTERM or Ctrl-C.

    Streamlit waits for browsers that keep their connections, and for scripts that wait for an answer.
    """
    Thread(target=_watch, args=(service,), daemon=True, name="synth-leaving").start()


def _watch(service: Joined) -> None:
    while not (Runtime.exists() and Runtime.instance().state in ENDING):
        time.sleep(LOOK)
    time.sleep(FAREWELL)
    if service.process is not None:
        stop(service.process)
    os._exit(0)
