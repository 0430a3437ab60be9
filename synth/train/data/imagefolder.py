"""Image folders in the form of Hugging Face's `imagefolder`: pictures, and metadata.jsonl or metadata.csv with them.

A row of metadata names its picture in the column `file_name`, relative to the metadata's own folder; each subfolder may
have metadata of its own. See https://huggingface.co/docs/datasets/image_dataset#imagefolder.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from synth.errors import InputError
from synth.train.data.columns import caption_column, captions_in
from synth.train.data.entries import Entry, as_text, file_entry, picture_files, read_text

METADATA = ("metadata.jsonl", "metadata.csv")


def metadata_files(folder: Path) -> list[Path]:
    """All metadata files of a folder and its subfolders."""
    return sorted(path for name in METADATA for path in folder.rglob(name))


def read_imagefolder(folder: Path, caption: str) -> list[Entry]:
    """An entry for each picture of the folder; those that no row names have no caption.

    Several rows of one picture are several captions. InputError if rows name pictures that are not there, or that lie
    outside the folder.
    """
    captions: dict[Path, tuple[str, ...]] = {}
    attributes: dict[Path, dict[str, str]] = {}
    missing = []
    for file in metadata_files(folder):
        for path, said, others in _rows(file, caption):
            captions[path] = captions.get(path, ()) + said
            attributes[path] = others | attributes.get(path, {})
            if not path.is_file():
                missing.append(path.relative_to(folder).as_posix())
    check_nothing_missing(missing, "the metadata", folder)
    paths = sorted(captions.keys() | set(picture_files(folder)))
    return [file_entry(folder, path, captions.get(path, ()), attributes.get(path, {})) for path in paths]


def check_nothing_missing(missing: list[str], where: str, folder: Path) -> None:
    """An InputError that says how many pictures are named but not there, and which is the first."""
    if missing:
        number = f"{len(missing):,} {'pictures that are' if len(missing) > 1 else 'picture that is'}"
        remedy = f"{where} names {number} not there, first {missing[0]!r}: add them, or remove their rows"
        raise InputError("source", str(folder), remedy)


def _rows(file: Path, caption: str) -> Iterator[tuple[Path, tuple[str, ...], dict[str, str]]]:
    """The path, captions and other columns of each row."""
    rows = list((csv_rows if file.suffix == ".csv" else _json_rows)(file))
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    if "file_name" not in columns:
        remedy = f"give {file.name} a column file_name (it has {', '.join(columns) or 'no columns'})"
        raise InputError("source", str(file), remedy)
    column = caption_column(caption, [name for name in columns if name != "file_name"], file.name)
    for line, row in rows:
        others = {name: as_text(cell) for name, cell in row.items() if name not in ("file_name", column)}
        yield _picture(file, line, row.get("file_name")), captions_in(row.get(column)), others


def _picture(file: Path, line: int, name: Any) -> Path:
    """The path that a row names, which may go down from the metadata's folder, never up and out of it."""
    parts = PureWindowsPath(name).parts if isinstance(name, str) else ()  # takes both kinds of slashes
    if not parts:
        raise InputError("file_name", name, f"line {line} of {file} needs the name of a picture")
    if ".." in parts or PureWindowsPath(name).anchor:
        raise InputError("file_name", name, f"line {line} of {file} must name a picture inside {file.parent}")
    return file.parent.joinpath(*parts)


def csv_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows with their line numbers; separated by commas, semicolons or tabs, whatever the first line has most of.

    InputError for a file that is no CSV, as where a text with commas is not in quotes.
    """
    text = read_text(file)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if None in row:
                remedy = f"line {reader.line_num} of {file.name} has more cells than the first: put texts in quotes"
                raise InputError("source", str(file), remedy)
            yield reader.line_num, {name: cell or "" for name, cell in row.items()}
    except csv.Error as error:
        line = reader.line_num + 1
        raise InputError("source", str(file), f"put line {line} of {file.name} right ({error})") from None


def _json_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError("source", str(file), f"put line {number} of {file.name} right ({error})") from None
        if not isinstance(row, dict):
            remedy = f'line {number} of {file.name} must be an object, such as {{"file_name": "a.jpg", "text": "cat"}}'
            raise InputError("source", str(file), remedy)
        yield number, row
