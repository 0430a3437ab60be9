"""Which checkpoint is the last good one, and which errors mean that there is no room."""

import errno

import pytest
import torch

from synth.errors import StudyError, TrainError
from synth.records.files import write_atomically
from synth.train.checkpoints import last_good, naming_last_good, save_checkpoint


def save(folder, step, **figures):
    return save_checkpoint(folder, step, {"weights/net/w": torch.zeros(1)}, {"figures": figures})


def test_weights_that_a_step_went_wrong_with_are_not_the_last_good_ones(tmp_path):
    assert last_good(tmp_path) == last_good(tmp_path, 10) == "none"
    first, second = save(tmp_path, 5), save(tmp_path, 10)
    assert last_good(tmp_path) == last_good(tmp_path, 11) == str(second)
    assert last_good(tmp_path, 10) == str(first)
    save(tmp_path, 10, loss=0.5)
    assert last_good(tmp_path, 10) == str(second), "validation found it good"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/disk/file"),
        OSError(errno.EROFS, "Read-only file system"),
        RuntimeError("I/O error: File too large (os error 27)"),
    ],
)
def test_no_room_is_told_with_the_remedy(tmp_path, error):
    with pytest.raises(TrainError, match="cannot be written .*; free some space, .*last good checkpoint is none"):
        fail_with(error, tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "gone.txt"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        OSError("a library's own words"),
        RuntimeError("No such file or directory (os error 2)"),
        ValueError("of the data"),
    ],
)
def test_what_more_room_cannot_help_keeps_its_own_words(tmp_path, error):
    with pytest.raises(type(error)) as raised:
        fail_with(error, tmp_path)
    assert raised.value is error


def test_a_file_that_lies_nowhere_is_not_a_full_disk(tmp_path):
    with pytest.raises(StudyError, match="choose a folder that exists"), naming_last_good(tmp_path):
        write_atomically(tmp_path / "nowhere" / "file", b"")


def fail_with(error, folder):
    with naming_last_good(folder):
        raise error
