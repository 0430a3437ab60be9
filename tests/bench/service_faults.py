"""Kill a server with SIGKILL at random moments while clients work, and check that nothing is lost, doubled or damaged.

    python tests/bench/service_faults.py [--kills 50] [--phrases 500] [--seed 0]

Clients ask for studies with the bundled models all the time; whatever was accepted must be there in the end, and a row
that was there before a kill must be there unchanged after it: neither lost nor rendered again. Then hostile phrases are
asked for: no file may appear outside the studies, and no page that Synth writes of all of them may hold a live tag. The
last line is JSON.
"""

import argparse
import json
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.service_process import Server
from hostile import OWN, PHRASES, live_tags, pages_of
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as profile

from synth.journal import Journal
from synth.records.pictures import read_picture
from synth.serve.client import Client, ServiceError
from synth.studies import Study

SMALL = {"steps": 2, "width": 64, "height": 64}
CLIENTS, MOST_PICTURES = 4, 6


class Crowd:
    """Clients that ask for one study after another, as well as the server lets them. accepted: (client, study)."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server, self.stopped = server, threading.Event()
        self.accepted: set[tuple[str, str]] = set()
        self.threads = [
            threading.Thread(target=self._work, args=(f"client {number}", random.Random(seed + number)))
            for number in range(CLIENTS)
        ]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Let each end what it waits for."""
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def _work(self, name: str, chance: random.Random) -> None:
        with self.server.client(name, patience=60) as client:
            while not self.stopped.is_set():
                prompt, pictures = f"a house number {chance.random()}", chance.randint(1, MOST_PICTURES)
                asked = {"prompts": [prompt], "seeds": pictures, "settings": SMALL}
                study = _insist(lambda asked=asked: client.render(**asked).id)
                self.accepted.add((name, study))
                state = _insist(lambda study=study: client.wait(study).state)
                assert (state.state, state.left) == ("done", 0), state


def rows_of(server: Server) -> dict[str, dict]:
    """Every row of every journal, by study and key."""
    found = {}
    for path in server.out.glob("*/*/journal.sqlite"):
        with Journal(path.parent) as journal:
            found |= {f"{path.parent.name}/{row['key']}": row for row in journal.rows()}
    return found


def kill_and_check(server: Server, kills: int, chance: random.Random) -> dict[str, int]:
    """The counts that matter, after that many kills."""
    crowd, seen, changed = Crowd(server, chance.randint(0, 10**6)), {}, 0
    for number in range(kills):
        time.sleep(chance.uniform(0, 2.0))
        server.kill()
        now = rows_of(server)
        changed += sum(now.get(key) != row for key, row in seen.items())
        seen = now
        server.start()
        if number % 10 == 9:
            print(f"{number + 1} kills, {len(seen)} pictures kept", flush=True)
    crowd.stop()
    lost = doubled = unreadable = pictures = 0
    for _, study in crowd.accepted:
        folder = next(server.out.glob(f"*/{study}"))
        found = Study.open(folder)
        with Journal(folder) as journal:
            rows = journal.rows()
        files = {f"images/{path.name}" for path in (folder / "images").iterdir()}
        wanted = {job.key for job in found.jobs}
        pictures += len(wanted)
        lost += len(wanted - {row["key"] for row in rows if row["path"] in files})
        doubled += len(files) - len(wanted)
        unreadable += sum(not _is_good(folder, row) for row in rows)
    final = rows_of(server)
    changed += sum(final.get(key) != row for key, row in seen.items())
    return {
        "kills": kills, "studies": len(crowd.accepted), "pictures": pictures, "lost": lost, "doubled": doubled,
        "rendered_again": changed, "unreadable": unreadable,
    }  # fmt: skip


def hostile_phrases(server: Server, amount: int) -> dict[str, int]:
    """Ask for that many phrases, and look at what they left."""
    outside, accepted, refused, phrases = [], [], [], []

    @profile(
        max_examples=amount,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(phrase=PHRASES)
    def ask(phrase: str) -> None:
        with server.client("hostile", patience=600) as client:
            try:
                accepted.append(client.render([phrase], seeds=1, settings=SMALL | {"steps": 1}).id)
                phrases.append(phrase.strip())
            except ServiceError as error:
                assert error.status == 422, error
                refused.append(phrase)

    ask()
    with server.client("hostile") as client:
        for study in accepted:
            client.wait(study)
        pages = list(_reports(client, list(dict.fromkeys(phrases))))
    for path in server.out.parent.rglob("*"):
        inside = re.fullmatch(r"[0-9a-f]{16}(/[0-9a-f]{16}(/.*)?)?", path.relative_to(server.out).as_posix()) if (
            server.out in path.parents
        ) else path.name in ("out", "notes.txt", "server.log")  # fmt: skip
        if "hostile" in path.name or not (inside or path.name in (".serve.lock", *_QUEUE)):
            outside.append(path)
    with tempfile.TemporaryDirectory() as scratch:
        written = pages_of(list(dict.fromkeys(phrases)), Path(scratch))
        outside += [path for path in Path(scratch).rglob("*") if "hostile" in path.name]
    live = sum(len(live_tags(page)) for page in pages)
    live += sum(len(live_tags(page, OWN.get(name, 0))) for name, page in written.items())
    return {
        "phrases": len(accepted) + len(refused), "refused": len(refused), "files_outside": len(outside),
        "pages": len(pages) + len(written), "live_tags": live, "outbound": len(server.noted()),
    }  # fmt: skip


def _reports(client: Client, phrases: list[str]) -> Iterator[str]:
    """The reports of studies that have all these phrases as prompts, as many as a request may have."""
    for start in range(0, len(phrases), 100):
        study = client.render(phrases[start : start + 100], seeds=1, settings=SMALL | {"steps": 1}).id
        client.wait(study)
        yield client.report(study)


_QUEUE = ("queue.sqlite", "queue.sqlite-wal", "queue.sqlite-shm")


def _insist(ask):
    """What an answer is once the server is back."""
    while True:
        try:
            return ask()
        except ServiceError as error:
            if error.status not in (0, 503):
                raise
            time.sleep(0.05)


def _is_good(folder: Path, row: dict) -> bool:
    picture = read_picture(folder / row["path"])
    return picture.job.key == row["key"] and picture.digest == picture.recorded_digest == row["pixels_sha256"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--phrases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        server = Server(Path(scratch)).start()
        counts = kill_and_check(server, options.kills, random.Random(options.seed)) if options.kills else {}
        server.stop()
        Path(scratch, "phrases").mkdir()
        server = Server(Path(scratch, "phrases")).start()
        counts |= hostile_phrases(server, options.phrases) if options.phrases else {}
        server.stop()
    print(json.dumps(counts | {"seconds": round(time.perf_counter() - began, 1)}))


if __name__ == "__main__":
    main()
