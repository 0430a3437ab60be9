"""A training, watched from the notebook that it runs in: its loss curves are drawn anew while it goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from synth.errors import SynthError
from synth.plots import NotebookFigure
from synth.train.figures import curves
from synth.train.history import History
from synth.train.loop import read_log


@contextmanager
def watched(run: Path | str, display: Callable[..., Any], *, every: float = 2.0) -> Iterator[None]:
    """Show the loss curves of a run, and replace them within the block, every so many seconds, where its log has grown.

    display: the notebook's own function. At the block's end the figure shows all of the training, so that a notebook
    that papermill executes keeps just that.
    """
    run, ended = Path(run), threading.Event()
    begun = _lines(run)
    handle = display(curves([History(run, begun)]), display_id=True)
    thread = threading.Thread(target=_follow, args=(run, handle, every, ended, len(begun)), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        handle.update(_drawn(run))


def _follow(run: Path, handle: Any, every: float, ended: threading.Event, seen: int) -> None:
    while not ended.wait(every):
        if (now := len(_lines(run))) != seen:
            seen = now
            with suppress(SynthError):  # params.yaml may be half written at this moment
                handle.update(_drawn(run))


def _drawn(run: Path) -> NotebookFigure:
    return curves([History(run, _lines(run))])


def _lines(run: Path) -> list[dict[str, float]]:
    return read_log(run / "log.jsonl")
