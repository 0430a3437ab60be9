"""Batches: a table in which each row is a set of a report's parameters becomes a report, and a page that lists all.

Which rows are done is nowhere noted: a row's plan names its study's folder, and a complete study with a report is done.
So a batch can be stopped, edited and run again, and rows may come, go and change places.
"""

import csv
import io
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from PIL import Image

from synth.errors import InputError, SynthError
from synth.journal import NAME, Journal
from synth.layout.inlining import embedded
from synth.layout.parameters import Parameter, check_parameters, declared, parse_parameters
from synth.layout.publishing import fill
from synth.records.estimates import in_words
from synth.records.files import write_atomically
from synth.records.pictures import DAMAGE
from synth.records.plans import slug
from synth.reporting import MAIN, Request, make, notebook_path, prepare
from synth.studies import ROOT

THUMBNAILS, THUMBNAIL_SIZE = 4, 192

Scatter = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[tuple[int, Any]]]
"""Yields (place, task(item)) for each of some items, as they finish: see `synth.scale.crews.Crew`."""


@dataclass
class Outcome:
    """What became of a row.

    row: its number in the file, from 1; parameters: as the file gives them.
    status: "left" (not tried yet), "done", "incomplete" (a report, but some pictures failed) or "failed" (no report).
    error: why, in one sentence; folder: of the study, None where the row could not even be planned.
    """

    row: int
    parameters: Mapping[str, Any]
    status: str = "left"
    error: str = ""
    folder: Path | None = None


@dataclass(frozen=True)
class Batch:
    """A batch that ran: its page, and what became of each row of the file."""

    index: Path
    outcomes: list[Outcome]

    @property
    def failed(self) -> int:
        """How many rows have no report, or one in which pictures failed."""
        return sum(outcome.status in ("failed", "incomplete") for outcome in self.outcomes)


def one_by_one(task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Yield (place, task(item)) for one item after another, in this process."""
    yield from ((place, task(item)) for place, item in enumerate(items))


def batch(
    file: str | Path, *, out: str | Path = ROOT, progress: bool = True, scatter: Scatter = one_by_one, **shared: Any
) -> Batch:
    """Make a report for each row of a CSV or YAML file, and `<out>/<file's name>/index.html` with all of them.

    shared: parameters for every row that doesn't set them itself; notebook, in a column or here, chooses another than
    the main one, by name or number. scatter: how rows are handed to workers, which see the same folders; by default
    one row is made after another. A row that fails is noted and the others go on. Run again, it does what is missing.
    Unknown columns and values of the wrong type are an InputError before anything runs.
    """
    notebook = str(shared.pop("notebook", MAIN))
    shared = check_parameters(shared, declared(notebook_path(notebook)))
    rows = read_rows(file, notebook)
    folder = _batch_folder(Path(file), Path(out))
    outcomes = [Outcome(number, values) for number, values in enumerate(rows, start=1)]
    requests = [_planned(outcome, shared | {"notebook": notebook}, folder) for outcome in outcomes]
    index = folder / "index.html"
    began = time.monotonic()
    waiting = [
        (outcome, request) for outcome, request in zip(outcomes, requests, strict=True) if outcome.status == "left"
    ]
    _write_index(index, Path(file).name, outcomes)
    made = scatter(partial(_made, progress=progress), [request for _, request in waiting])
    for number, (place, answer) in enumerate(made, start=1):
        outcome, request = waiting[place]
        outcome.status, outcome.error = ("failed", str(answer)) if isinstance(answer, SynthError) else answer
        if progress:
            _tell(outcome, request, len(outcomes), _time_left(began, number, len(waiting)))
        _write_index(index, Path(file).name, outcomes)
    return Batch(index, outcomes)


def read_rows(file: str | Path, notebook: str = MAIN) -> list[dict[str, Any]]:
    """The rows of a CSV or YAML file with their values parsed; an empty cell is not given.

    notebook: whose parameters they are where a row names none. In YAML, values are read as the texts they are written
    as, so that a phrase 1984 stays a phrase.
    """
    path = Path(file)
    readers = {".csv": _csv_rows, ".yaml": _yaml_rows, ".yml": _yaml_rows}
    if path.suffix.lower() not in readers:
        raise InputError("file", str(path), "give a .csv or .yaml file")
    try:
        rows = list(readers[path.suffix.lower()](path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise InputError("file", str(path), f"give a file that can be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError("file", str(path), "save it as UTF-8") from None
    except (yaml.YAMLError, csv.Error, RecursionError) as error:
        raise InputError("file", str(path), f"it is not well formed: {' '.join(str(error).split())}") from None
    if not rows:
        raise InputError("file", str(path), "give it at least one row of parameters")
    return [_parsed(number, row, notebook) for number, row in enumerate(rows, start=1)]


def _csv_rows(text: str) -> Iterator[dict[str, str]]:
    for number, row in enumerate(csv.DictReader(io.StringIO(text), strict=True), start=1):
        if None in row:
            raise InputError(
                f"row {number}", row[None], "it has more cells than the header: put a text with commas in quotes"
            )
        yield {name: cell for name, cell in row.items() if cell}


def _yaml_rows(text: str) -> Iterator[dict[str, str]]:
    rows = yaml.load(text, yaml.BaseLoader)  # which makes nothing but str, list and dict
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError("file", rows, 'give a list of rows, each with names and values: "- phrase: a red lighthouse"')
    for row in rows:
        for name, value in row.items():
            if isinstance(value, dict):
                raise InputError(str(name), value, "put it in quotes")
        yield {name: json.dumps(value) if isinstance(value, list) else value for name, value in row.items() if value}


def _parsed(number: int, row: Mapping[str, str], notebook: str) -> dict[str, Any]:
    chosen = {"notebook": row["notebook"]} if "notebook" in row else {}
    try:
        known = _known(row.get("notebook", notebook))
        return chosen | parse_parameters({name: text for name, text in row.items() if name != "notebook"}, known)
    except InputError as error:
        raise InputError(f"row {number}, {error.field}", error.value, error.remedy) from None


@cache
def _known(notebook: str) -> dict[str, Parameter]:
    """What a row may set of a notebook's parameters; the batch itself says where studies go."""
    known = declared(notebook_path(notebook))
    return {name: known[name] for name in known if name != "out"}


def _batch_folder(file: Path, out: Path) -> Path:
    folder = out / slug(file.stem)
    if (folder / "plan.json").exists():
        raise InputError("file", str(file), f"{folder} is a study: give the file another name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("out", str(out), f"give a folder that can be written ({error.strerror})") from None
    return folder


def _planned(outcome: Outcome, shared: Mapping[str, Any], folder: Path) -> Request | None:
    try:
        request = prepare(**shared | outcome.parameters | {"out": folder})
        outcome.folder = request.folder
        outcome.status = "done" if request.is_done else "left"
    except SynthError as error:
        outcome.status, outcome.error = "failed", str(error)
        return None
    return request


def _made(request: Request, *, progress: bool) -> tuple[str, str]:
    """Make a row's report, here or in a worker; its status and error."""
    try:
        made = make(request, progress=progress)
    except (SynthError, OSError) as error:
        return "failed", str(error)
    return (
        ("incomplete", f"{made.failed} of {made.failed + made.pictures} pictures failed")
        if made.failed
        else ("done", "")
    )


def _tell(outcome: Outcome, request: Request, rows: int, time_left: str) -> None:
    what = f"row {outcome.row} of {rows} is {outcome.status}: {request.title[:60]!r}{time_left}"
    print(what, file=sys.stderr, flush=True)


def _time_left(began: float, finished: int, waiting: int) -> str:
    if finished == waiting:
        return ""
    return f" (about {in_words((time.monotonic() - began) / finished * (waiting - finished))} left)"


def _write_index(index: Path, title: str, outcomes: list[Outcome]) -> None:
    page = fill("batch/index.html.j2", title=title, lines=[_line(outcome, index.parent) for outcome in outcomes])
    write_atomically(index, page.encode())


def _line(outcome: Outcome, root: Path) -> dict[str, Any]:
    """What the page shows of a row."""
    parameters = dict(outcome.parameters)
    prompts = parameters.pop("prompts", None) or [parameters.get("notebook", "?")]
    report = outcome.folder / "report.html" if outcome.folder else None
    made = outcome.status in ("done", "incomplete")
    return {
        "title": parameters.pop("phrase", None) or prompts[0],
        "parameters": ", ".join(f"{name} {value}" for name, value in parameters.items()),
        "status": outcome.status,
        "remark": outcome.error,
        "link": quote(report.relative_to(root).as_posix()) if made else None,
        "thumbnails": _thumbnails(outcome.folder) if made else [],
    }


def _thumbnails(folder: Path) -> list[str]:
    """Data URIs of pictures of a study, of different prompts first."""
    if not (folder / NAME).is_file():
        return []  # a notebook that is no study of its own
    with Journal(folder) as journal:
        rows = [row for row in journal.rows() if row["status"] == "done"]
    rows.sort(key=lambda row: (row["seed"], row["prompt_index"]))
    thumbnails = (_thumbnail(folder / row["path"]) for row in rows[:THUMBNAILS])
    return [thumbnail for thumbnail in thumbnails if thumbnail]


@cache
def _thumbnail(path: Path) -> str:
    """A small copy as a data URI; "" for a picture that is damaged or gone, as the other rows have to go on."""
    try:
        with Image.open(path) as picture:
            return embedded(picture, "JPEG", THUMBNAIL_SIZE, quality=85)
    except DAMAGE:
        return ""
