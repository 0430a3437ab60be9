"""Four processes write one journal at once: every row of each is there, whole, and every picture."""

import subprocess
import sys

from PIL import Image

from synth.jobs import Job, ModelRef, Result, Settings
from synth.journal import Journal
from synth.records.pictures import read_picture

WRITERS, EACH = 4, 40


def job_of(writer, number):
    model = ModelRef(name="made up", digest="sha256:0")
    return Job(phrase="x", prompt=f"writer {writer}", seed=number, settings=Settings(), model=model)


def write(folder, writer):
    """Record pictures of one's own, and in between those that all others record too."""
    facts = {"prompt_index": writer, "candidate": None, "logprob": None, "strict": False}
    with Journal(folder) as journal:
        for number in range(EACH):
            for job in (job_of(writer, number), job_of("everybody", number)):
                image = Image.new("RGB", (64, 64), (number, number, number))
                journal.record(Result(job=job, status="done", image=image), **facts)


def test_four_writers_lose_and_double_nothing(tmp_path):
    (tmp_path / "images").mkdir()
    words = [sys.executable, __file__, str(tmp_path)]
    writers = [subprocess.Popen([*words, str(writer)]) for writer in range(WRITERS)]
    assert [writer.wait(120) for writer in writers] == [0] * WRITERS
    expected = {job_of(writer, n).key for writer in (*range(WRITERS), "everybody") for n in range(EACH)}
    with Journal(tmp_path) as journal:
        rows = journal.rows()
        assert journal.done() == expected
    assert len(rows) == len(expected) == (WRITERS + 1) * EACH
    for row in rows:
        picture = read_picture(tmp_path / row["path"])
        assert picture.digest == picture.recorded_digest == row["pixels_sha256"]


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]))
