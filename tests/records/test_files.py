"""A folder is claimed by one process at a time, and is free again however that one ends."""

import subprocess
import sys
import time
from threading import Thread

import pytest

from synth.errors import StudyError
from synth.records.files import claimed

HOLD = "import sys, time; from pathlib import Path; from synth.records.files import claimed\n"
HOLD += "with claimed(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"


@pytest.fixture
def other(tmp_path):
    """A process that holds a folder until it is killed, and the folder."""
    folder = tmp_path / "deep" / "folder"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process, folder
    process.kill()
    process.communicate()


def test_a_folder_in_use_is_refused_until_its_process_is_killed(other):
    process, folder = other
    with (
        pytest.raises(StudyError, match="deep/folder is in use by another process; wait for that one"),
        claimed(folder),
    ):
        pass
    process.kill()
    process.wait()
    with claimed(folder):
        assert folder.is_dir()


def test_whoever_waits_gets_it_when_it_is_free(other):
    process, folder = other
    got = []

    def take() -> None:
        with claimed(folder, wait=True):
            got.append(time.monotonic())

    thread = Thread(target=take)
    thread.start()
    time.sleep(0.2)
    assert not got
    killed = time.monotonic()
    process.kill()
    process.wait()
    thread.join(30)
    assert got and got[0] >= killed


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StudyError, match="file is a file; choose another name"), claimed(tmp_path / "file"):
        pass
