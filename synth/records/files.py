"""Files that are either whole or absent, whatever kills the process or cuts the power."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from synth.errors import StudyError

LOCK = ".lock"


def write_atomically(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Put `data` at `path`: a temporary file beside it, flushed to disk, is renamed over it.

    mode: who may read and write it, less what the umask forbids. Raises StudyError with the remedy, as for a full disk;
    what was at `path` before is then still there.
    """
    try:
        _write_beside(path, data, mode)
    except OSError as error:
        raise StudyError(f"{path} cannot be written ({error.strerror}); {remedy_for(str(error))}") from error


def _write_beside(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb", opener=partial(os.open, mode=mode)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def made_folder(folder: Path) -> Path:
    """The folder, made if need be within one that is there; StudyError where a file has its name, or it cannot be."""
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        raise StudyError(f"{folder} is a file where a folder belongs; remove it") from None
    except OSError as error:
        raise StudyError(f"{folder} cannot be made ({error.strerror}); {remedy_for(str(error))}") from error
    return folder


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut. Windows offers no such call, and needs none."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remedy_for(message: str) -> str:
    """What to do about an error that the disk, or SQLite, reported with `message`."""
    if "full" in message or "No space" in message or "quota" in message:
        return "free some space and run the same command again: every finished picture is safe"
    if "locked" in message:
        return "another process is using it: wait for that one to finish"
    return "choose a folder that exists and that you may write to, on a disk that has room"


@contextmanager
def claimed(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a folder, made if need be; the system releases it when its process dies, however it dies.

    wait: until another process that holds it is done; else StudyError says that it is in use. StudyError also for a
    folder that cannot be written.
    """
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise StudyError(f"{folder} is in use by another process; wait for that one to finish") from None
    except FileExistsError:
        raise StudyError(f"{folder} is a file; choose another name") from None
    except OSError as error:
        raise StudyError(f"{folder} cannot be written ({error.strerror}); {remedy_for(str(error))}") from error
    try:
        yield
    finally:
        lock.release()


def sweep_temporaries(folder: Path) -> None:
    """Remove what a killed `write_atomically` left in `folder`."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
