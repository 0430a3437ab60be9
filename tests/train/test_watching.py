"""A training is seen while it goes on, and its last figure shows all of it."""

import json
import threading
import time

import pytest

from synth.train.watching import watched


class Display:
    """In the place of a notebook: keeps what it is given to show."""

    def __init__(self):
        self.shown = []

    def __call__(self, figure, *, display_id):
        assert display_id is True
        self.shown.append(figure)
        return self

    def update(self, figure):
        self.shown.append(figure)

    def points(self):
        """How many losses each of the figures has."""
        return [
            len(figure.axes[0].collections[0].get_offsets()) if figure.axes[0].collections else 0
            for figure in self.shown
        ]


def log(run, step):
    run.mkdir(exist_ok=True)
    with (run / "log.jsonl").open("a") as file:
        file.write(json.dumps({"step": step, "loss": 1 / step, "seconds": 0.1}) + "\n")


def waited_for(condition):
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_the_figure_follows_the_log(tmp_path):
    display, run = Display(), tmp_path / "run"
    with watched(run, display, every=0.01):
        for step in (1, 2):
            log(run, step)
            assert waited_for(lambda step=step: display.points()[-1] == step)
        seen = len(display.shown)
        time.sleep(0.1)
        assert len(display.shown) == seen, "it is drawn anew only where the log has grown"
    assert display.points()[0] == 0 and display.points()[-1] == 2


def test_what_came_last_is_shown_even_where_the_training_failed(tmp_path):
    display, run = Display(), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt), watched(run, display, every=60):
        log(run, 1)
        raise KeyboardInterrupt
    assert display.points() == [0, 1]
    assert not [thread for thread in threading.enumerate() if thread.name.endswith("(_follow)")]


def test_a_half_written_file_of_parameters_is_waited_for(tmp_path):
    display, run = Display(), tmp_path / "run"
    with watched(run, display, every=0.01):
        log(run, 1)
        (run / "params.yaml").write_text("train: {steps: ")
        time.sleep(0.1)
        (run / "params.yaml").write_text("train: {steps: 9}")
        log(run, 2)
        assert waited_for(lambda: display.points()[-1] == 2)
