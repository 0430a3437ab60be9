"""Turns between those who ask for more than pictures."""

import threading

import pytest

from synth.serve.desk import SHARE, Desk
from synth.serve.problems import Refused


@pytest.fixture
def desk():
    """A desk whose first task is in hand until `begin` is set."""
    found = Desk("desk", lambda: 3.0)
    found.begin, started = threading.Event(), threading.Event()
    found.do(lambda: (started.set(), found.begin.wait(60)))
    assert started.wait(60)
    yield found
    found.begin.set()
    found.stop()


def test_clients_take_turns_and_none_takes_all_places(desk):
    done = []
    futures = [desk.ask("eager", lambda place=place: done.append(f"eager {place}")) for place in range(SHARE)]
    with pytest.raises(Refused) as refused:
        desk.ask("eager", lambda: None)
    assert refused.value.status == 429
    futures += [desk.ask(name, lambda name=name: done.append(name)) for name in ("one", "two")]
    desk.begin.set()
    assert [future.result(60) for future in futures] == [None] * len(futures)
    assert done[:4] == ["eager 0", "one", "two", "eager 1"] and done[-1] == f"eager {SHARE - 1}"


def test_what_nobody_waits_for_any_more_is_not_done_and_errors_are_told(desk, caplog):
    done = []
    gone = desk.ask("a", lambda: done.append("gone"))
    broken = desk.ask("a", lambda: 1 / 0)
    desk.do(lambda: {}["nobody asks"])
    after = desk.ask("a", lambda: done.append("after"))
    assert gone.cancel()
    desk.begin.set()
    after.result(60)
    assert done == ["after"] and not desk._tasks
    assert isinstance(broken.exception(), ZeroDivisionError)
    assert ["KeyError" in record.exc_text for record in caplog.records] == [True]
