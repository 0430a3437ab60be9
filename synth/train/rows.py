"""Arrays that are written row by row, whatever their number, and then mapped from their file."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np


class RowWriter:
    """Appends rows to a .npy file, whose header tells their number in the end; the first ones decide shape and type.

    It writes as any file is written, so that a full disk is an OSError; to a mapped file it would be a crash. NumPy
    leaves room in the header for any number (numpy.lib.format, "spare padding space"), so nothing moves.
    """

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._like: np.ndarray | None = None
        self._file = path.open("wb")

    def append(self, rows: np.ndarray) -> None:
        """Add rows: (k, ...), of the same shape and type as those before."""
        if self._like is None:
            self._like = rows[:0]
            self._write_header()
        self._file.write(np.ascontiguousarray(rows).data)
        self.count += len(rows)

    def close(self) -> None:
        """Put the number of rows into the header; what was not closed counts as empty."""
        if self._like is not None:
            self._file.seek(0)
            self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _write_header(self) -> None:
        facts = {"descr": self._like.dtype.str, "fortran_order": False, "shape": (self.count, *self._like.shape[1:])}
        np.lib.format.write_array_header_1_0(self._file, facts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
