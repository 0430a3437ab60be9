"""Arrays that are written row by row, whatever their number, and then mapped from their file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np


class RowWriter:
    """Appends rows to a .npy file, whose header tells their number in the end; the first ones decide shape and type.

    It writes as any file is written, so that a full disk is an OSError; to a mapped file it would be a crash. NumPy
    leaves room in the header for any number (numpy.lib.format, "spare padding space"), so nothing moves.
    """

    def __init__(self, path: Path) -> None:
        self.count, self.path = 0, path
        self._like: np.ndarray | None = None
        self._file = path.open("wb")

    def append(self, rows: np.ndarray) -> None:
        """Add rows: (k, ...), of the same shape and type as those before."""
        with self._naming_itself():
            if self._like is None:
                self._like = rows[:0]
                self._write_header()
            self._file.write(np.ascontiguousarray(rows).data)
        self.count += len(rows)

    def close(self) -> None:
        """Put the number of rows into the header; what was not closed counts as empty."""
        with self._naming_itself():
            if self._like is not None:
                self._file.seek(0)
                self._write_header()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def drop(self) -> None:
        """Remove the file, which would keep a full disk full."""
        with suppress(OSError):  # what is still to be written may not fit either
            self._file.close()
        self.path.unlink(missing_ok=True)

    @contextmanager
    def _naming_itself(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename = str(self.path)  # of a failed write Python says no more than why
            raise

    def _write_header(self) -> None:
        facts = {"descr": self._like.dtype.str, "fortran_order": False, "shape": (self.count, *self._like.shape[1:])}
        np.lib.format.write_array_header_1_0(self._file, facts)


@contextmanager
def writing_rows(path: Path) -> Iterator[RowWriter]:
    """A block that writes rows to a file, which is there afterwards only if nothing went wrong."""
    writer = RowWriter(path)
    try:
        yield writer
        writer.close()
    except BaseException:
        writer.drop()
        raise
