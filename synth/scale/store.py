"""A place that all workers can write to and that keeps bytes under names: a shared folder, or object storage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from synth.errors import InputError, StudyError
from synth.jobs import check_choice
from synth.records.files import write_atomically

# Where a name appears with all of its bytes or not at all: one request puts an object, a rename puts a file.
SCHEMES = ("file", "s3", "gs", "az", "abfs")


@dataclass(frozen=True)
class Store:
    """url: file:///shared/studies, s3://bucket/studies, gs://... or az://...; what reads it comes with fsspec.

    Credentials come from the environment (AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS and the like), never from
    the url. Raises InputError for a url that cannot be used, StudyError where the store refuses or cannot be reached.
    """

    url: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if "@" in parts.netloc or parts.query:
            raise InputError("store", parts.scheme, "give the url without credentials, which the environment holds")
        check_choice("store", parts.scheme, SCHEMES)
        if not (parts.netloc + parts.path).strip("/"):
            raise InputError("store", self.url, "say where: file:///shared/studies, or s3://bucket/studies")
        self._opened()

    @property
    def folder(self) -> Path | None:
        """The folder that it is; None for object storage."""
        return Path(self._opened()[1]) if urlsplit(self.url).scheme == "file" else None

    def put(self, name: str, data: bytes) -> None:
        """Keep `data` under a name such as rows/1a2b.parquet, in the place of what is there."""
        try:
            if self.folder is not None:
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, data)
            else:
                system, root = self._opened()
                system.pipe_file(f"{root}/{name}", data)
        except Exception as error:  # each kind of storage has errors of its own
            raise StudyError(f"{name} cannot be put into {self.url} ({_first(error)})") from error

    def get(self, name: str) -> bytes | None:
        """What is kept under a name; None where there is nothing."""
        system, root = self._opened()
        try:
            return system.cat_file(f"{root}/{name}")
        except FileNotFoundError:
            return None
        except Exception as error:  # as above
            raise StudyError(f"{name} cannot be read from {self.url} ({_first(error)})") from error

    def names(self, folder: str) -> set[str]:
        """The names of what is kept directly in a folder, without it."""
        system, root = self._opened()
        system.invalidate_cache()
        try:
            return {path.rpartition("/")[2] for path in system.ls(f"{root}/{folder}", detail=False)}
        except FileNotFoundError:
            return set()
        except Exception as error:  # as above
            raise StudyError(f"{self.url} cannot be listed ({_first(error)})") from error

    def remove(self, name: str) -> None:
        """Forget a name, if it is there."""
        system, root = self._opened()
        try:
            system.rm_file(f"{root}/{name}")
        except FileNotFoundError:
            pass
        except Exception as error:  # as above
            raise StudyError(f"{name} cannot be removed from {self.url} ({_first(error)})") from error

    def _opened(self) -> tuple[Any, str]:
        """fsspec's file system, of which it keeps one for each place, and the path in it."""
        try:
            from fsspec.core import url_to_fs

            system, root = url_to_fs(self.url)
        except ImportError as error:
            raise InputError("store", self.url, f"install what reads it first ({_first(error)})") from None
        return system, root.rstrip("/")


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
