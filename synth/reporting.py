"""Reports: a notebook is executed with parameters through papermill, and becomes a page.

Everything is checked before the notebook starts, so that a typing error costs a second and not a minute. The work
itself is done in the notebook's kernel; this process loads no model and no torch, and knows nothing of what is shown.
"""

import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import InputError, ReportError, StudyError
from synth.execution import MAIN, execute, heading, notebook_path
from synth.jobs import content_key
from synth.layout.parameters import Parameter, check_parameters, declared, study_arguments
from synth.layout.publishing import to_html, without_progress
from synth.models.weights import read_json
from synth.records.estimates import check_amount
from synth.records.files import write_atomically
from synth.records.plans import Plan, check_name, make_plan, slug
from synth.records.sources import drawn_over
from synth.studies import ROOT, Study, check_place, check_root

__all__ = ["MAIN", "Report", "Request", "make", "notebook_path", "prepare", "report"]


@dataclass(frozen=True)
class Report:
    """A finished report: its folder, its files there, how many of its study's pictures are good and bad, its time."""

    folder: Path
    html: Path
    notebook: Path
    pictures: int
    failed: int
    seconds: float


@dataclass(frozen=True)
class Request:
    """A report that was checked and not made yet.

    notebook: its path; parameters: as the notebook gets them; folder: of the report.
    plan: of the study that the main notebook makes in that folder; None with any other notebook.
    """

    notebook: Path
    parameters: Mapping[str, Any]
    folder: Path
    plan: Plan | None = None

    @property
    def title(self) -> str:
        """What it is about: the phrase, the first of people's own prompts, or else the notebook's heading."""
        prompts = self.parameters.get("prompts")
        return self.parameters.get("phrase") or (prompts[0] if prompts else heading(self.notebook))

    @property
    def is_done(self) -> bool:
        """Whether the folder has a page made of these very parameters, and every picture of the study."""
        made = self.folder / "report.ipynb"
        if not (self.folder / "report.html").is_file() or not made.is_file():
            return False
        if self.plan is None:
            return read_json(made)["metadata"].get("papermill", {}).get("parameters") == dict(self.parameters)
        study = Study.open(self.folder)
        return study.plan.key == self.plan.key and study.counts["done"] == self.plan.pictures


def report(
    phrase: str | None = None,
    *,
    notebook: str = MAIN,
    out: str | Path = ROOT,
    name: str | None = None,
    progress: bool = True,
    **parameters: Any,
) -> Report:
    """Execute a notebook into `<out>/<name>/report.ipynb` and `report.html`.

    The main notebook expands the phrase and renders it: the folder is that of its study, with grid.png, logs and
    pictures. notebook: its name, or the number that it begins with. parameters: any that the notebook declares (see
    `notebook_path` and `synth.layout.parameters.declared`). progress: show on stderr how far it is.

    Made again, a report renders only what is missing.
    Raises InputError or ModelError before anything starts, ReportError where the notebook failed.
    """
    return make(prepare(phrase, notebook=notebook, out=out, name=name, **parameters), progress=progress)


def prepare(
    phrase: str | None = None,
    *,
    notebook: str = MAIN,
    out: str | Path = ROOT,
    name: str | None = None,
    **parameters: Any,
) -> Request:
    """Check a report's parameters; loads no model, and writes nothing but the folder of studies."""
    path = notebook_path(notebook)
    known = declared(path)
    given = {"out": str(out)} | parameters | ({} if phrase is None else {"phrase": phrase})
    if path == notebook_path(MAIN):
        return _main_request(path, known, given | {"name": name}, phrase)
    values = check_parameters(given, known)
    if name is not None:
        check_name(name)
    key = content_key([path.stem, {key: value for key, value in values.items() if key != "out"}])
    subject = values.get("phrase") or path.stem.partition("_")[2]
    return Request(path, values, check_root(out) / (name or f"{slug(subject)}-{path.stem.split('_')[0]}-{key[:8]}"))


def _main_request(path: Path, known: Mapping[str, Parameter], given: dict[str, Any], phrase: str | None) -> Request:
    """The main notebook's request, with the plan of its study."""
    if phrase is None and not given.get("prompts"):
        raise InputError("phrase", phrase, "give a phrase, or a list of prompts")
    if phrase is not None and given.get("prompts"):
        raise InputError("phrase", phrase, "give a phrase or a list of prompts, not both")
    values = check_parameters(given, known)
    every = {parameter.name: parameter.default for parameter in known.values()} | values
    _check_content(every.pop("content_clip"), every.pop("content_concepts"))
    arguments = study_arguments(**every)
    root, agreed = Path(arguments.pop("out")), arguments.pop("yes")
    chosen, _ = arguments.pop("name"), arguments.pop("device")
    if chosen is not None:
        check_name(chosen)
    pictures = drawn_over(arguments.pop("source"), arguments.pop("mask"), arguments["settings"])
    plan = make_plan(**arguments, **dict(zip(("source", "mask"), pictures, strict=False)))
    check_amount(plan, root, agreed)
    folder = check_root(root) / (chosen or plan.folder_name)
    check_place(folder, plan)
    return Request(path, values, folder, plan)


def _check_content(clip: str, concepts: str) -> None:
    """What the notebook checks too, but here before a kernel starts."""
    if clip:
        from synth.audit.content import check_checker  # here, because torch takes seconds

        check_checker(clip, concepts or None)
    elif concepts:
        raise InputError("content_concepts", concepts, "name the CLIP that looks for them, content_clip, too")


def make(request: Request, *, progress: bool = True) -> Report:
    """Execute the notebook for a request and write the page."""
    began = time.monotonic()
    notebook, html = request.folder / "report.ipynb", request.folder / "report.html"
    with tempfile.TemporaryDirectory(prefix="synth-") as temporary:
        executed = Path(temporary) / notebook.name
        try:
            execute(request.notebook, request.parameters, executed, sys.stderr if progress else None)
        except ReportError as error:
            raise ReportError(f"{error}{_keep_failed(executed, request.folder)}") from error.__cause__
        without_progress(executed)
        request.folder.mkdir(exist_ok=True)
        write_atomically(notebook, executed.read_bytes())
    (request.folder / "report.failed.ipynb").unlink(missing_ok=True)
    to_html(notebook, html, title=request.title)
    counts = Study.open(request.folder).counts if request.plan else {"done": 0, "failed": 0, "left": 0}
    failed = counts["failed"] + counts["left"]
    return Report(request.folder, html, notebook, counts["done"], failed, time.monotonic() - began)


def _keep_failed(executed: Path, folder: Path) -> str:
    """Keep a partial notebook with its traceback; says where. Beside the folder if the study had not begun."""
    if not executed.is_file():
        return ""
    begun = (folder / "plan.json").is_file()
    kept = folder / "report.failed.ipynb" if begun else folder.with_name(f"{folder.name}.failed.ipynb")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, executed.read_bytes())
    except (OSError, StudyError):
        return ""
    return f" (what there is: {kept})"
