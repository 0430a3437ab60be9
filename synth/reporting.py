"""Reports: a notebook is executed with parameters through papermill, and becomes a page in the study's folder.

Everything is checked before the notebook starts, so that a typing error costs a second and not a minute. The study
itself runs in the notebook's kernel; this process loads no model and no torch, and knows nothing of what is shown.
"""

import logging
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import papermill
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets import default

from synth.errors import InputError, ReportError, StudyError, SynthError
from synth.layout.parameters import check_parameters, declared, study_arguments
from synth.layout.publishing import to_html, without_progress
from synth.records.estimates import check_amount
from synth.records.files import write_atomically
from synth.records.plans import Plan, check_name, make_plan
from synth.records.sources import drawn_over
from synth.studies import ROOT, Study, check_place, check_root

MAIN = "1_expand_and_render"


@dataclass(frozen=True)
class Report:
    """A finished report: its study's folder, its files there, how many pictures are good and bad, and its time."""

    folder: Path
    html: Path
    notebook: Path
    pictures: int
    failed: int
    seconds: float


@dataclass(frozen=True)
class Request:
    """A report that was checked and not made yet: parameters as the notebook gets them, and the study they lead to."""

    parameters: Mapping[str, Any]
    plan: Plan
    folder: Path

    @property
    def title(self) -> str:
        """The phrase, or the first of people's own prompts."""
        return self.plan.phrase or self.plan.prompts[0]


def report(
    phrase: str | None = None,
    *,
    out: str | Path = ROOT,
    name: str | None = None,
    progress: bool = True,
    **parameters: Any,
) -> Report:
    """Expand a phrase, render it, leave `<out>/<study>/` with report.html, report.ipynb, grid.png, logs and pictures.

    parameters: any that the notebook declares (see `notebook_path` and `synth.layout.parameters.declared`), such as
    prompts, n, seeds, model, steps. progress: show on stderr how far it is.

    Made again, a report renders only what is missing.
    Raises InputError or ModelError before anything starts, ReportError where the notebook failed.
    """
    return make(prepare(phrase, out=out, name=name, **parameters), progress=progress)


def prepare(
    phrase: str | None = None, *, out: str | Path = ROOT, name: str | None = None, **parameters: Any
) -> Request:
    """Check a report's parameters and plan its study; loads no model, and writes nothing but the folder of studies."""
    given = {"phrase": phrase, "out": str(out), "name": name} | parameters
    if phrase is None:
        del given["phrase"]
        if not parameters.get("prompts"):
            raise InputError("phrase", phrase, "give a phrase, or a list of prompts")
    elif parameters.get("prompts"):
        raise InputError("phrase", phrase, "give a phrase or a list of prompts, not both")
    known = declared(notebook_path(MAIN))
    values = check_parameters(given, known)
    every = {parameter.name: parameter.default for parameter in known.values()} | values
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
    return Request(values, plan, folder)


def make(request: Request, *, progress: bool = True) -> Report:
    """Execute the notebook for a request and write the page."""
    began = time.monotonic()
    notebook, html = request.folder / "report.ipynb", request.folder / "report.html"
    with tempfile.TemporaryDirectory(prefix="synth-") as temporary:
        executed = Path(temporary) / notebook.name
        try:
            _execute(request.parameters, executed, sys.stderr if progress else None)
        except ReportError as error:
            raise ReportError(f"{error}{_keep_failed(executed, request.folder)}") from error.__cause__
        without_progress(executed)
        write_atomically(notebook, executed.read_bytes())
    (request.folder / "report.failed.ipynb").unlink(missing_ok=True)
    to_html(notebook, html, title=request.title)
    counts = Study.open(request.folder).counts
    failed = counts["failed"] + counts["left"]
    return Report(request.folder, html, notebook, counts["done"], failed, time.monotonic() - began)


def notebook_path(name: str) -> Path:
    """The notebook of that name: in the repository's folder notebooks/, or in the installed package."""
    package = Path(__file__).parent
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if (path := folder / f"{name}.ipynb").is_file():
            return path
    raise ReportError(f"The notebook {name} is missing from this installation; install Synth again.")


class _SamePython(AsyncKernelManager):
    """Starts the kernel with this very Python, whatever kernels the user has registered, or none."""

    @default("kernel_spec_manager")
    def _no_registered_kernels(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])  # it then falls back to ipykernel in sys.executable


def _execute(parameters: Mapping[str, Any], output: Path, messages: Any) -> None:
    """Run the notebook; the kernel's stderr goes to `messages` as it comes. After a ReportError `output` is partial."""
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        papermill.execute_notebook(
            notebook_path(MAIN), output, dict(parameters), kernel_name="python3", progress_bar=False,
            stderr_file=messages, kernel_manager_class=_SamePython,
            shutdown_kernel="immediate",  # all that the notebook made is on the disk; a polite farewell takes a second
            # a profile of its own: the user's start-up files have no part in a report
            extra_arguments=[f"--ipython-dir={output.parent}", "--log-level=CRITICAL"],
        )  # fmt: skip
    except PapermillExecutionError as error:
        raise ReportError(_sentence(error)) from error
    except (DeadKernelError, RuntimeError) as error:
        raise ReportError(f"The report's Python process ended before it was done ({error}).") from error


def _sentence(error: PapermillExecutionError) -> str:
    """What stopped the notebook. Errors of Synth's own are sentences already."""
    message = str(error.evalue).strip().split("\n")[0]
    if error.ename in {cls.__name__ for cls in SynthError.__subclasses__()}:
        return message
    return f"The notebook stopped in cell {error.exec_count} with {error.ename}: {message}"


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
