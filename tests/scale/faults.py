"""Starting drivers, finding their workers, killing either, and looking at what is left."""

import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from synth.journal import NAME, Journal
from synth.records.pictures import is_intact, read_picture

DRIVER = Path(__file__).with_name("drivers.py")


def start(*words):
    """A driver in a process of its own; see drivers.py."""
    return subprocess.Popen([sys.executable, str(DRIVER), *map(str, words)], stderr=subprocess.DEVNULL)


def workers_of(process, mark):
    """The processes under one whose command line has a mark."""
    found = []
    for child in psutil.Process(process).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if mark in " ".join(child.cmdline()):
                found.append(child)
    return found


def rows(folder):
    """How many rows the journal has; 0 before there is one."""
    try:
        with sqlite3.connect(f"file:{folder / NAME}?mode=ro", uri=True) as journal:
            return journal.execute("SELECT count(*) FROM pictures").fetchone()[0]
    except sqlite3.Error:
        return 0


def wait_until(condition, process=None, seconds=120):
    """Wait for a condition, and no longer than the process lives; returns what the condition was."""
    ends = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < ends and (process is None or process.poll() is None):
        time.sleep(0.02)
    return met


def inventory(folder):
    """Done rows by key, each with its picture read whole; fails where a picture is damaged, foreign or twice there."""
    with Journal(folder) as journal:
        done = {row["key"]: row for row in journal.rows() if row["status"] == "done"}
    pictures = sorted((folder / "images").glob("*.png"))
    assert all(is_intact(path) for path in pictures)
    keys = [read_picture(path).job.key for path in pictures]
    assert len(keys) == len(set(keys)) and set(done) <= set(keys)
    return done
