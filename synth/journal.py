"""The memory of a study: one SQLite row per picture, written after its PNG is in place.

WAL with synchronous=FULL: a row that was written survives a kill and a power cut. The pictures carry their rows, so the
journal can always be made again from them; failures are rows too, and those exist only here.
"""

import io
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from synth.errors import StudyError
from synth.jobs import Job, Result
from synth.records.files import remedy_for, write_atomically
from synth.records.pictures import is_whole, read_picture, save_picture
from synth.records.rows import COLUMNS, as_frame, job_columns, result_columns, to_csv, with_measures

if TYPE_CHECKING:
    import pandas

NAME = "journal.sqlite"

LATER = ("timestep_spacing", "respacing", "timesteps", "sigmas", "strength", "postprocess", "source", "mask")
SPEEDING = {"guidance_interval": "''", "precision": "'full'"}  # what is faster, and the values of pictures before that
_FIRST = [f"{name} {kind}, " for name, (kind, _) in COLUMNS.items() if name not in (*LATER, *SPEEDING)]
_DEFAULTS = {"TEXT": "''", "REAL": "0.6"}  # of strength, the only number

# Run in order; PRAGMA user_version counts those already run. Never edit one that was released: add another.
MIGRATIONS = (
    f"CREATE TABLE IF NOT EXISTS pictures ({''.join(_FIRST)}PRIMARY KEY (key))",
    "; ".join(
        f"ALTER TABLE pictures ADD COLUMN {name} {COLUMNS[name][0]} NOT NULL DEFAULT {_DEFAULTS[COLUMNS[name][0]]}"
        for name in LATER
    ),
    "CREATE TABLE measures (key TEXT, name TEXT, value REAL, model TEXT, PRIMARY KEY (key, name))",
    "; ".join(
        f"ALTER TABLE pictures ADD COLUMN {name} {COLUMNS[name][0]} NOT NULL DEFAULT {default}"
        for name, default in SPEEDING.items()
    ),
)


class Journal:
    """The rows of one study folder; close it, or use it in a `with` block. Any one thread at a time may use it.

    Raises StudyError where the file is damaged, from a newer Synth, or cannot be written.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.path = self.folder / NAME
        self.pictures = self.folder / "images"
        with self._guarded():
            self._database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
            self._database.row_factory = sqlite3.Row
        try:
            self._prepare()
        except StudyError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; everything recorded is on disk already."""
        self._database.close()

    def record(self, result: Result, **facts: Any) -> None:
        """Keep a result: its picture first (images/<first 16 digits of the key>.png), then its row.

        facts: the columns that neither job nor result knows (prompt_index, strict, candidate, logprob).
        A row with the same key is replaced. Raises StudyError when the disk is full; what was recorded before is safe.
        """
        facts = facts | result_columns(result)
        row = job_columns(result.job) | facts | {"path": "", "pixels_sha256": ""}
        with self._guarded():
            if result.image is not None:
                path = self.picture_path(result.job)
                row["pixels_sha256"] = save_picture(result.image, path, result.job, facts)
                row["path"] = path.relative_to(self.folder).as_posix()
        self._write(row)

    def picture_path(self, job: Job) -> Path:
        """Where the picture of a job lies, or will lie."""
        return self.pictures / f"{job.key[:16]}.png"

    def done(self, check: Callable[[Path], bool] = is_whole) -> set[str]:
        """The keys of the pictures that are finished: the row says so and the file is there and passes the check."""
        with self._guarded():
            rows = self._database.execute("SELECT key, path FROM pictures WHERE status = 'done'").fetchall()
        present = {f"{self.pictures.name}/{path.name}" for path in self.pictures.glob("*.png") if check(path)}
        return {row["key"] for row in rows if row["path"] in present}

    def rows(self) -> list[dict[str, Any]]:
        """All rows as plain values, by prompt and seed."""
        with self._guarded():
            found = self._database.execute(
                f"SELECT {', '.join(COLUMNS)} FROM pictures ORDER BY prompt_index, seed, rowid"
            )
            return [dict(row) for row in found]

    def measure(self, name: str, values: Mapping[str, float | None], model: str) -> None:
        """Keep a measure of pictures by their keys, in the place of what was kept under its name.

        model: what measured it, with its version. None where it could not be measured.
        """
        rows = [(key, name, value, model) for key, value in values.items()]
        with self._guarded():
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR REPLACE INTO measures VALUES (?, ?, ?, ?)", rows)
            self._database.execute("COMMIT")

    def measures(self) -> list[dict[str, Any]]:
        """All measures: key, name, value, model."""
        with self._guarded():
            return [dict(row) for row in self._database.execute("SELECT * FROM measures ORDER BY name, key")]

    def frame(self) -> "pandas.DataFrame":
        """All rows as a tidy DataFrame (see `synth.records.rows.COLUMNS`); paths are relative to the study's folder.

        Each measure adds two columns: its values under its name, and <name>_model, what measured them.
        """
        return with_measures(as_frame(self.rows()), self.measures())

    def export(self) -> tuple[Path, Path]:
        """Write log.csv and log.parquet beside the journal, each whole or not at all."""
        frame, parquet = self.frame(), io.BytesIO()
        frame.to_parquet(parquet, index=False)
        paths = self.folder / "log.csv", self.folder / "log.parquet"
        with self._guarded():
            for path, data in zip(paths, (to_csv(frame), parquet.getvalue()), strict=True):
                write_atomically(path, data)
        return paths

    def adopt(self) -> int:
        """Write the rows that finished pictures carry and the journal lacks; returns how many.

        That happens when a process is killed between a picture and its row, and after a lost journal. Damaged and
        foreign files are left alone: their pictures are rendered again.
        """
        known = {key[:16] for key in self.done()}
        rows = [self._carried_row(path) for path in self.pictures.glob("*.png") if path.stem not in known]
        adopted = [row for row in rows if row is not None]
        for row in adopted:
            self._write(row)
        return len(adopted)

    @classmethod
    def rebuild(cls, folder: Path | str) -> int:
        """Make the journal again from the pictures; returns how many rows it has.

        The old file stays as journal.damaged-<number>.sqlite. Rows of failed pictures are lost with it; the next
        run tries those again.
        """
        folder = Path(folder)
        number = 1 + len(list(folder.glob("journal.damaged-*.sqlite")))
        for ending in ("", "-wal", "-shm"):
            part = folder / f"{NAME}{ending}"
            if part.exists():
                part.rename(folder / f"journal.damaged-{number}.sqlite{ending}")
        with cls(folder) as journal:
            return journal.adopt()

    def _carried_row(self, path: Path) -> dict[str, Any] | None:
        try:
            picture = read_picture(path)
        except StudyError:
            return None
        if picture.digest != picture.recorded_digest or path != self.picture_path(picture.job):
            return None
        place = {"path": path.relative_to(self.folder).as_posix(), "pixels_sha256": picture.digest}
        row = job_columns(picture.job) | picture.facts | place
        storable = all(value is None or isinstance(value, (str, int, float)) for value in row.values())
        return row if storable and row.keys() == COLUMNS.keys() else None

    def _write(self, row: dict[str, Any]) -> None:
        names = list(COLUMNS)
        values = ", ".join(f":{name}" for name in names)
        with self._guarded():
            self._database.execute(f"INSERT OR REPLACE INTO pictures ({', '.join(names)}) VALUES ({values})", row)

    def _prepare(self) -> None:
        with self._guarded():
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            if self._database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("its pages contradict each other")
            self._migrate()

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        self._database.execute("BEGIN IMMEDIATE")
        try:
            present = self._version()  # another process may just have done it
            if present > len(MIGRATIONS):
                raise StudyError(f"{self.path} was written by a newer Synth; update Synth to read it")
            for statement in "; ".join(MIGRATIONS[present:]).split("; "):
                self._database.execute(statement)
            self._database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # a full disk ends it by itself
                self._database.execute("ROLLBACK")
            raise

    def _version(self) -> int:
        return self._database.execute("PRAGMA user_version").fetchone()[0]

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn what the disk and SQLite say into a StudyError with a remedy."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StudyError(f"{self.path} cannot be used ({error}); {remedy_for(str(error))}") from error
        except sqlite3.DatabaseError as error:
            remedy = "delete it and run again: the pictures carry their rows and none is rendered twice"
            raise StudyError(f"{self.path} is damaged ({error}); {remedy}") from error
        except OSError as error:
            raise StudyError(f"{self.folder} cannot be written ({error.strerror}); {remedy_for(str(error))}") from error
