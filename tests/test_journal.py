import io
import sqlite3
import subprocess
import sys
import threading
import time

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from test_jobs import a_job
from test_pictures import noise

from synth.errors import StudyError
from synth.jobs import Result, Settings
from synth.journal import MIGRATIONS, NAME, Journal
from synth.records.pictures import read_picture, save_picture
from synth.records.recording import WAITING, Recorder
from synth.records.rows import COLUMNS, as_frame, job_columns, read_log, result_columns, to_csv

FACTS = {"prompt_index": 0, "strict": False, "candidate": 3, "logprob": -12.5}


def a_result(seed: int = 1, **changes) -> Result:
    values = {
        "job": a_job(seed=seed), "status": "done", "image": noise(seed), "seconds": 0.5, "device": "cpu",
        "dtype": "float32", "batch_size": 8, "prompt_tokens": 6, "notes": ("batch halved", "slowly"),
    }  # fmt: skip
    return Result(**values | changes)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    return tmp_path


def fill(folder, count: int = 3) -> list[dict]:
    with Journal(folder) as journal:
        for seed in range(count):
            journal.record(a_result(seed), **FACTS)
        return journal.rows()


def test_a_row_has_every_column(folder):
    [row] = fill(folder, 1)
    assert list(row) == list(COLUMNS)
    assert row["path"] == f"images/{row['key'][:16]}.png"
    assert (folder / row["path"]).is_file()
    assert (row["notes"], row["candidate"], row["logprob"], row["strict"]) == ("batch halved; slowly", 3, -12.5, 0)
    assert row["torch"].startswith("2.")


def test_rows_outlive_the_process_and_never_double(folder):
    before = fill(folder)
    assert fill(folder)[0]["key"] == before[0]["key"]
    with Journal(folder) as journal:
        assert len(journal.rows()) == len(journal.done()) == 3


def test_a_failure_is_a_row_until_it_is_done(folder):
    with Journal(folder) as journal:
        journal.record(a_result(image=None, status="failed", error="the picture is black"), **FACTS)
        assert journal.done() == set()
        assert [(row["status"], row["error"], row["path"]) for row in journal.rows()] == [
            ("failed", "the picture is black", "")
        ]
        journal.record(a_result(), **FACTS)
        assert [(row["status"], row["error"]) for row in journal.rows()] == [("done", "")]


def test_a_picture_that_was_deleted_is_not_done(folder):
    rows = fill(folder)
    (folder / rows[0]["path"]).unlink()
    with Journal(folder) as journal:
        assert journal.done() == {row["key"] for row in rows[1:]}


def test_the_frame_has_the_stated_types(folder):
    fill(folder)
    with Journal(folder) as journal:
        frame = journal.frame()
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        name: kind for name, (_, kind) in COLUMNS.items()
    }
    assert list(as_frame([])) == list(COLUMNS)
    assert as_frame([]).dtypes.equals(frame.dtypes)
    assert (pandas.Timestamp.now("UTC") - frame["created"].max()).total_seconds() < 60


def test_exports_hold_the_frame(folder):
    fill(folder)
    with Journal(folder) as journal:
        csv, parquet = journal.export()
        frame = journal.frame()
    pandas.testing.assert_frame_equal(pandas.read_parquet(parquet), frame)
    pandas.testing.assert_frame_equal(read_log(csv), frame)
    assert list(pandas.read_csv(csv)["seed"]) == [0, 1, 2]
    assert not list(folder.glob(".*.tmp"))


texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
hard = st.sampled_from(
    ["=1+1", "'=1+1", "''-x", "-5", "+", "@SUM(A1)", "\t=", "nan", "1984", "", "'", 'a"b,c\n d', "x\r\ny"]
)


def a_row(**changes) -> dict:
    return job_columns(a_job()) | result_columns(a_result()) | FACTS | {"path": "", "pixels_sha256": ""} | changes


@profile(max_examples=25, deadline=None)
@given(phrases=st.lists(st.one_of(texts, hard), min_size=1, max_size=20))
def test_every_text_survives_the_csv(phrases):
    frame = as_frame([a_row(phrase=text, truncated=text, candidate=None, logprob=None) for text in phrases])
    pandas.testing.assert_frame_equal(read_log(io.BytesIO(to_csv(frame))), frame)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "'=1"])
def test_no_cell_of_the_csv_is_a_formula(text):
    assert f",'{text}," in to_csv(as_frame([a_row(phrase=text)])).decode()


def test_pictures_whose_row_was_never_written_are_adopted(folder):
    before = fill(folder)
    with Journal(folder) as journal:
        journal._database.execute("DELETE FROM pictures WHERE seed < 2")
        assert journal.adopt() == 2
        assert journal.adopt() == 0
        assert journal.rows() == before


def test_only_whole_pictures_in_their_place_are_adopted(folder):
    rows = fill(folder)
    pictures = [folder / row["path"] for row in rows]
    pictures[0].write_bytes(pictures[0].read_bytes()[:-20])
    pictures[1].rename(folder / "images" / "elsewhere.png")
    noise().save(folder / "images" / "foreign.png")
    (folder / NAME).unlink()
    with Journal(folder) as journal:
        assert journal.adopt() == 1
        assert journal.rows() == rows[2:]


def test_a_picture_that_is_cut_off_is_not_done(folder):
    rows = fill(folder)
    for row, kept in zip(rows, (0, -20), strict=False):
        path = folder / row["path"]
        path.write_bytes(path.read_bytes()[:kept])
    with Journal(folder) as journal:
        assert journal.adopt() == 0
        assert journal.done() == {rows[2]["key"]}


@pytest.mark.parametrize("facts", [{}, {"torch": None, "weather": "fair"}, {"notes": ["a", "b"]}])
def test_a_picture_with_other_facts_than_a_row_has_is_left_alone(folder, facts):
    [row] = fill(folder, 1)
    picture = read_picture(folder / row["path"])
    carried = picture.facts | facts if facts else {}
    save_picture(picture.image, folder / row["path"], picture.job, carried)
    (folder / NAME).unlink()
    with Journal(folder) as journal:
        assert journal.adopt() == 0


@pytest.mark.parametrize("damage", ["no database", "torn", "half"])
def test_a_damaged_journal_is_told_and_can_be_rebuilt(folder, damage):
    before = fill(folder, 30)
    data = (folder / NAME).read_bytes()
    torn = {
        "no database": b"not a database, surely" * 50,
        "torn": data[:5000] + bytes(4000) + data[9000:],
        "half": data[:6000],
    }
    (folder / NAME).write_bytes(torn[damage])
    with pytest.raises(StudyError, match=r"journal\.sqlite is damaged .*; delete it and run again"):
        Journal(folder)
    assert Journal.rebuild(folder) == 30
    assert (folder / "journal.damaged-1.sqlite").read_bytes() == torn[damage]
    with Journal(folder) as journal:
        assert journal.rows() == before


def test_a_journal_of_a_newer_synth_is_left_alone(folder):
    fill(folder)
    with sqlite3.connect(folder / NAME) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    database.close()
    with pytest.raises(StudyError, match="newer Synth; update"):
        Journal(folder)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StudyError, match="choose a folder that exists"):
        Journal(tmp_path / "none")


def test_a_full_disk_is_told_and_nothing_is_lost(folder):
    """A real one: the process may write no file above 200 kB, which SQLite and the kernel report as a full disk."""
    code = f"""
import resource, signal, sys
sys.path[:0] = {sys.path!r}
from test_journal import FACTS, a_result
from synth.journal import Journal
from test_pictures import noise
with Journal({str(folder)!r}) as journal:
    journal.record(a_result(0), **FACTS)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    journal.record(a_result(1, image=noise(1, 400)), **FACTS)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "StudyError" in done.stderr.strip().splitlines()[-1]
    assert [entry.name[0] for entry in (folder / "images").iterdir()] != ["."]
    with Journal(folder) as journal:
        assert [row["seed"] for row in journal.rows()] == [0]
        assert len(journal.done()) == len(list((folder / "images").iterdir())) == 1


def test_no_space_names_the_remedy(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with Journal(folder) as journal:
        journal.record(a_result(0), **FACTS)
        monkeypatch.setattr("synth.journal.save_picture", full)
        with pytest.raises(StudyError, match="No space left on device.*free some space and run the same command again"):
            journal.record(a_result(1), **FACTS)
        assert len(journal.done()) == 1


def test_two_processes_may_write_rows_at_once(folder):
    code = "import sys; sys.path[:0] = {path!r}\nfrom test_journal import *\nfor n in range({first}, {first} + 20):\n"
    code += "    with Journal({folder!r}) as journal: journal.record(a_result(n), **FACTS)"
    commands = [code.format(path=sys.path, first=first, folder=str(folder)) for first in (0, 100)]
    running = [subprocess.Popen([sys.executable, "-c", command]) for command in commands]
    assert [process.wait(60) for process in running] == [0, 0]
    with Journal(folder) as journal:
        assert len(journal.rows()) == len(journal.done()) == 40


def test_the_recorder_keeps_order_and_waits_for_the_last():
    written = []
    with Recorder(lambda result: (time.sleep(0.002), written.append(result.job.seed))) as recorder:
        for seed in range(50):
            recorder.put(a_result(seed, image=None))
    assert written == list(range(50))


def test_the_recorder_holds_no_more_than_a_few():
    gate, taken = threading.Event(), []

    def feed(recorder):
        for seed in range(100):
            recorder.put(a_result(seed, image=None))
            taken.append(seed)

    with Recorder(lambda _: gate.wait(10)) as recorder:
        feeder = threading.Thread(target=feed, args=(recorder,))
        feeder.start()
        time.sleep(0.2)
        held = len(taken)
        gate.set()
        feeder.join()
    assert held == WAITING + 1


def test_the_recorder_raises_what_stopped_it_and_never_hangs():
    def write(result):
        if result.job.seed == 3:
            raise StudyError("full")

    with pytest.raises(StudyError, match="full"), Recorder(write) as recorder:
        for seed in range(1000):
            recorder.put(a_result(seed, image=None))
    with pytest.raises(StudyError, match="full"), Recorder(write) as recorder:
        recorder.put(a_result(3, image=None))


def test_the_recorder_writes_all_before_an_error_of_the_model_goes_on():
    written = []
    with pytest.raises(KeyboardInterrupt), Recorder(lambda result: written.append(result.job.seed)) as recorder:
        for seed in range(10):
            recorder.put(a_result(seed, image=None))
        raise KeyboardInterrupt
    assert written == list(range(10))


def test_settings_in_a_row_are_those_of_the_job(folder):
    settings = Settings(negative_prompt="fog", steps=3, guidance_scale=2.5, width=64, height=72)
    with Journal(folder) as journal:
        journal.record(a_result(job=a_job(settings=settings)), **FACTS)
        [row] = journal.rows()
    assert {name: row[name] for name in ("negative_prompt", "steps", "guidance_scale", "width", "height")} == {
        "negative_prompt": "fog", "steps": 3, "guidance_scale": 2.5, "width": 64, "height": 72,
    }  # fmt: skip


def test_pixels_are_what_the_row_says(folder):
    [row] = fill(folder, 1)
    assert read_picture(folder / row["path"]).digest == row["pixels_sha256"]
    assert np.array_equal(np.asarray(read_picture(folder / row["path"]).image), np.asarray(noise(0)))
