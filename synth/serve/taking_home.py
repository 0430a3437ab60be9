"""What a client takes home of a study: a report page, or everything in a zip."""

import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nbformat

from synth.execution import MAIN, execute, notebook_path
from synth.layout.publishing import to_html, without_progress
from synth.records.files import write_atomically
from synth.studies import Study

PAGE = "report.html"
WANTED = ("plan.json", "log.csv", "log.parquet", "grid.png", PAGE, "images/*.png")
MAKES = "synth.study("  # what the cell of the main notebook has that makes its study
OPENS = """from synth import plots
from synth.layout import pages
from synth.studies import Study

study = Study.open(folder)
pages.headline(study)"""


def report(study: Study) -> Path:
    """The study's report.html: the main notebook, executed on the study as it lies there. ReportError if that fails."""
    page = study.folder / PAGE
    with tempfile.TemporaryDirectory(prefix="synth-") as temporary:
        source, executed, html = (Path(temporary, name) for name in ("source.ipynb", "report.ipynb", PAGE))
        nbformat.write(_opening(), source)
        execute(source, {"folder": str(study.folder)}, executed, None)
        without_progress(executed)
        _hide_parameters(executed)
        to_html(executed, html, title=study.plan.phrase or study.plan.prompts[0])
        told = html.read_text(encoding="utf-8").replace(str(study.folder), study.name)  # where it lies is ours to know
        write_atomically(page, told.encode())
    return page


def archive(study: Study) -> Path:
    """A temporary zip with the study's pictures, log, plan and, if it was made, report; the caller deletes it."""
    with tempfile.NamedTemporaryFile(prefix="synth-", suffix=".zip", delete=False) as file:
        made = Path(file.name)
        try:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as folder:
                for path in _wanted(study.folder):
                    folder.write(path, f"{study.name}/{path.relative_to(study.folder).as_posix()}")
        except BaseException:
            made.unlink()
            raise
    return made


def _opening() -> nbformat.NotebookNode:
    """The main notebook, which opens a study in the place of making one."""
    book = nbformat.read(notebook_path(MAIN), as_version=4)
    for cell in book.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source += '\nfolder: str = ""'
        elif MAKES in cell.source:
            cell.source = OPENS
    return book


def _hide_parameters(notebook: Path) -> None:
    """Take out the notebook's own parameters, which are not those of the study, and what was put in for them."""
    book = nbformat.read(notebook, as_version=4)
    hidden = {"parameters", "injected-parameters"}
    book.cells = [cell for cell in book.cells if not hidden & set(cell.metadata.get("tags", ()))]
    nbformat.write(book, notebook)


def _wanted(folder: Path) -> Iterator[Path]:
    for pattern in WANTED:
        yield from sorted(folder.glob(pattern))
