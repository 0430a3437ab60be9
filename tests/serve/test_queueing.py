"""Servers that are full, killed, stopped and left alone; clients that vanish, dawdle or have no key."""

import os
import signal
import socket
import threading
import time

import httpx
import pytest

from synth.journal import Journal
from synth.records.pictures import read_picture
from synth.serve.client import Client, ServiceError
from synth.studies import Study

SMALL = {"steps": 2, "width": 64, "height": 64, "guidance_scale": 1}
SLOW = SMALL | {"steps": 20}  # a batch takes a second


def until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def check_whole(server, studies: list[str]) -> None:
    """Every picture is there once, and is what its row says."""
    for name in studies:
        folder = next(server.out.glob(f"*/{name}"))
        found = Study.open(folder)
        with Journal(folder) as journal:
            rows = journal.rows()
        assert sorted(row["key"] for row in rows) == sorted(job.key for job in found.jobs)
        assert {row["path"] for row in rows} == {f"images/{path.name}" for path in (folder / "images").iterdir()}
        for row in rows:
            picture = read_picture(folder / row["path"])
            assert (picture.job.key, picture.digest) == (row["key"], row["pixels_sha256"])


def rows_of(server) -> dict[str, str]:
    found = {}
    for path in server.out.glob("*/*/journal.sqlite"):
        with Journal(path.parent) as journal:
            found |= {row["key"]: row["created"] for row in journal.rows()}
    return found


def test_after_a_kill_what_was_accepted_goes_on(serving):
    server, studies = serving(), []
    for number in range(3):
        with server.client(f"pupil {number}") as client:
            studies.append(client.render([f"house number {number}"], seeds=12, settings=SMALL | {"steps": 8}).id)
    until(lambda: rows_of(server))
    server.kill()
    kept = rows_of(server)
    assert 0 < len(kept) < 36
    server.start()
    for number, study in enumerate(studies):
        with server.client(f"pupil {number}") as client:
            assert client.wait(study).state.state == "done"
    after = rows_of(server)
    assert len(after) == 36 and {key: after[key] for key in kept} == kept  # nothing lost, nothing rendered twice
    check_whole(server, studies)


def test_sigterm_finishes_the_batch_and_keeps_the_queue(serving):
    server = serving()
    with server.client() as client:
        state = client.render(["a house"], seeds=20, settings=SLOW)
        until(lambda: next((event for event in client.events(state.id) if event.kind == "preview"), None))
        stream = client.events(state.id)
        next(stream)
        os.kill(server.process.pid, signal.SIGTERM)
        for _ in stream:  # which ends, instead of keeping the server waiting
            pass
    server.process.join(60)
    assert "Traceback" not in server.log.read_text()
    done = len(rows_of(server))
    assert done == 16  # the batch
    server.start()
    with server.client() as client:
        assert client.wait(state.id).state.state == "done"
    check_whole(server, [state.id])


def test_a_small_request_does_not_wait_for_a_large_one(serving):
    server, ends = serving(), {}

    def ask(name: str, pictures: int) -> None:
        with server.client(name) as client:
            client.wait(client.render([f"a house of {name}"], seeds=pictures, settings=SMALL | {"steps": 5}).id)
            ends[name] = time.monotonic()

    greedy = threading.Thread(target=ask, args=("greedy", 64))
    greedy.start()
    until(lambda: rows_of(server))
    pupils = [threading.Thread(target=ask, args=(f"pupil {number}", 2)) for number in range(8)]
    for thread in pupils:
        thread.start()
    for thread in [greedy, *pupils]:
        thread.join(120)
    assert max(ends, key=ends.get) == "greedy"


def test_a_full_queue_says_when_to_come_again(serving):
    server = serving(limits={"queue": 30, "share": 20})
    with server.client("a") as first, server.client("b") as second:
        state = first.render(["a house"], seeds=20, settings=SLOW)
        with pytest.raises(ServiceError, match="the queue is full; try again in") as told:
            first.render(["a boat"], seeds=1, settings=SMALL)
        with pytest.raises(ServiceError) as other:
            second.render(["a boat"], seeds=20, settings=SMALL)
        for error in (told.value, other.value):
            assert error.status == 429 and 1 <= error.retry_after <= 600
        waited = second.render(["a boat"], seeds=2, settings=SMALL)  # there is room for those
        assert second.wait(waited.id).state.state == "done"
        first.cancel(state.id)
        assert first.render(["a boat"], seeds=20, settings=SMALL).state == "opening"
    with server.client("c", patience=60) as patient:
        assert patient.wait(patient.render(["a car"], seeds=20, settings=SMALL).id).state.state == "done"


def test_a_client_that_vanishes_frees_its_place(serving):
    server = serving(limits={"patience": 2, "queue": 60, "share": 60})
    gone, stays = server.client("gone"), server.client("stays")
    state = gone.render(["a house"], seeds=50, settings=SMALL | {"steps": 100})
    detached = gone.render(["a tree"], seeds=1, settings=SMALL, detached=True)
    stream = gone.events(state.id)
    next(stream)
    with pytest.raises(ServiceError, match="full"):
        stays.render(["a boat"], seeds=55, settings=SMALL)
    time.sleep(3)
    next(event for event in stream if event.kind == "preview")  # who listens is there, however long
    stream.close(), gone.close()
    until(lambda: _accepts(stays, 55))
    with server.client("gone") as back:
        found = back.drawn(state.id).state
        assert (found.state, found.reason) == ("cancelled", "its client was not heard for 2 seconds")
        assert back.wait(detached.id).state.state == "done"
        assert back.wait(back.render(["a house"], seeds=2, settings=SMALL).id).state.state == "done"
    stays.close()


def _accepts(client: Client, pictures: int) -> bool:
    try:
        return bool(client.render(["a boat"], seeds=pictures, settings=SMALL))
    except ServiceError:
        return False


def test_slow_clients_keep_nobody_waiting(serving):
    server = serving()
    with server.client("quick") as quick:
        state = quick.render(["a house"], seeds=8, settings=SLOW)
        dawdlers = []
        for number in range(20):  # some send half a request, some read nothing
            found = socket.create_connection(("127.0.0.1", server.port))
            whole = f"GET /v1/studies/{state.id}/events HTTP/1.1\r\nHost: localhost:1\r\nSynth-Session: quick\r\n\r\n"
            half = "POST /v1/render HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 100\r\n\r\n{"
            found.sendall((whole if number % 2 else half).encode())
            dawdlers.append(found)
        began = time.monotonic()
        assert quick.offered().models
        assert time.monotonic() - began < 5
        assert quick.wait(state.id).state.state == "done"
        for found in dawdlers:
            found.close()
        assert quick.wait(quick.render(["a boat"], seeds=1, settings=SMALL).id).state.state == "done"


def test_keys_missing_wrong_right_and_revoked(serving, tmp_path):
    keys, one, two = tmp_path / "keys.txt", "the-key-of-anna-0001", "the-key-of-bert-0002"
    keys.write_text(f"{one}\n{two}\n")
    server = serving(keys=keys)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {one}"}, {"Authorization": one}):
        for path in ("/v1/models", "/v1/studies", "/metrics", f"/v1/studies/{'0' * 16}"):
            answer = httpx.get(f"{server.url}{path}", headers=headers, trust_env=False)
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer", path
            assert answer.json()["detail"].startswith("give one of the server's keys")
    assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
    with server.client(key=one) as anna, server.client(key=two) as bert:
        state = anna.render(["a house"], seeds=1, settings=SMALL)
        assert anna.wait(state.id).state.state == "done"
        assert bert.studies() == []
        keys.write_text(f"{two}\n")
        with pytest.raises(ServiceError, match="give one of the server's keys"):
            anna.studies()
        assert bert.studies() == []
    assert not [path for path in server.out.rglob("*") if "anna" in path.name]
    assert one not in server.log.read_text()


def test_only_this_machine_is_served_without_keys(tmp_path, monkeypatch):
    from synth.errors import InputError, StudyError
    from synth.serve.catalogue import Catalogue
    from synth.serve.running import Serving, serve
    from synth.serve.service import Service

    monkeypatch.delenv("SYNTH_KEYS", raising=False)
    for host in ("0.0.0.0", "192.168.1.2", "::", "example.org"):
        with pytest.raises(InputError, match=f"^host: '{host}' cannot be used; give --keys FILE or SYNTH_KEYS"):
            serve(Serving(host=host, out=tmp_path))
    first = Service(tmp_path, Catalogue(), device="cpu")
    with pytest.raises(StudyError, match="in use by another server"):
        Service(tmp_path, Catalogue(), device="cpu")
    first.queue.close()
