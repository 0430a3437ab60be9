import sqlite3
import threading
from dataclasses import replace

import pytest

from synth.errors import StudyError
from synth.records.plans import make_plan
from synth.serve.queue import CANCELLED, DONE, FAILED, WAITING, Entry, Queue, TooMany


def entry(client: str, pictures: int = 4, **changes) -> Entry:
    plan = make_plan(prompts=[f"a house of {client}"], seeds=pictures)
    return Entry(client=client, study=plan.key[:16], plan=plan, **changes)


@pytest.fixture
def queue(tmp_path):
    found = Queue(tmp_path / "queue.sqlite", most=10, share=6)
    yield found
    found.close()


def test_a_request_is_there_after_a_restart(queue, tmp_path):
    added, is_new = queue.add(entry("a", source="0" * 64, detached=True))
    assert is_new
    other = Queue(tmp_path / "queue.sqlite", most=10, share=6)
    assert other.unfinished() == [added] == other.of("a")
    assert (added.left, added.state) == (4, "opening")
    assert other.find("a", added.study) == added
    assert other.find("b", added.study) is None
    other.close()


def test_it_is_bounded_over_all_and_for_each(queue):
    queue.add(entry("a", 6))
    with pytest.raises(TooMany):
        queue.add(entry("a", 1))
    with pytest.raises(TooMany):
        queue.add(entry("b", 5))
    added, _ = queue.add(entry("b", 4))
    assert queue.left() == 10
    queue.change(added, WAITING, left=1)
    queue.add(entry("c", 3))
    assert queue.left() == 10


def test_what_has_ended_frees_its_place_and_may_begin_anew(queue):
    added, _ = queue.add(entry("a", 6))
    assert queue.add(entry("a", 6)) == (added, False)
    queue.change(added, CANCELLED, 6, "why not")
    assert queue.left() == 0 and queue.unfinished() == []
    again, is_new = queue.add(entry("a", 6))
    assert is_new and again == replace(added, reason="")
    queue.change(again, DONE, 0)
    assert queue.find("a", added.study).state == DONE


def test_only_those_who_wait_and_are_not_detached_can_go_away(queue):
    queue.add(entry("a"))
    queue.add(entry("b", detached=True))
    done, _ = queue.add(entry("c", 1))
    queue.change(done, DONE, 0)
    assert queue.clients_waiting() == ["a"]


def test_many_threads_never_go_over_the_bound(queue):
    refused = []

    def add(number: int) -> None:
        try:
            queue.add(entry(f"client {number}", 2))
        except TooMany:
            refused.append(number)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.left() == 10 and len(refused) == 15


def test_a_full_disk_is_told(queue, tmp_path):
    queue._database.execute("PRAGMA max_page_count = 4")
    with pytest.raises(StudyError, match="full.*free some space"):
        for number in range(10):
            queue.add(entry(f"client {number}", 1))
    assert len(queue.unfinished()) < 10
    with sqlite3.connect(tmp_path / "queue.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_what_a_full_disk_does_not_take_is_remembered_until_it_does(queue, tmp_path):
    added, _ = queue.add(entry("a"))
    queue._database.execute("PRAGMA query_only = ON")  # as a disk that takes nothing
    ended = queue.change(added, FAILED, 4, "the disk is full")
    assert queue.find("a", added.study) == ended == queue.of("a")[0]
    with pytest.raises(StudyError, match="cannot be used"):
        queue.add(entry("b"))
    queue._database.execute("PRAGMA query_only = OFF")
    again, is_new = queue.add(entry("a"))  # and so it begins anew
    assert is_new and again.state == "opening" == queue.find("a", added.study).state
    assert Queue(tmp_path / "queue.sqlite", most=10, share=6).unfinished() == [again]
