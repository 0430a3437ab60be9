"""A notebook is executed by papermill in a Python process like this one."""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets import default

from synth.errors import InputError, ReportError, SynthError
from synth.jobs import nearest

MAIN = "1_expand_and_render"


def notebooks() -> dict[str, Path]:
    """Every notebook by its name: those of the repository's notebooks/, or of the installed package."""
    package = Path(__file__).parent
    folders = [folder for folder in (package / "notebooks", package.parent / "notebooks") if folder.is_dir()]
    found = {path.stem: path for folder in reversed(folders) for path in sorted(folder.glob("*.ipynb"))}
    if not found:
        raise ReportError("The notebooks are missing from this installation; install Synth again.")
    return found


def notebook_path(name: str) -> Path:
    """The notebook of that name, or of the number that it begins with; InputError for any other."""
    found = notebooks()
    for stem, path in found.items():
        if name in (stem, stem.partition("_")[0]):
            return path
    raise InputError("notebook", name, f"did you mean {nearest(name, list(found))!r}? One of: {', '.join(found)}")


def heading(notebook: Path) -> str:
    """The first heading of a notebook, or its name."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    found = re.search(r"^# (.+)$", "\n".join(texts), re.MULTILINE)
    return found[1] if found else notebook.stem


def execute(notebook: Path, parameters: Mapping[str, Any], output: Path, messages: Any) -> None:
    """Run a notebook into `output`; the kernel's stderr goes to `messages` as it comes.

    ReportError, with what stopped it in one sentence, where it failed; `output` is then partial.
    """
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        papermill.execute_notebook(
            notebook, output, dict(parameters), kernel_name="python3", progress_bar=False,
            stderr_file=messages, kernel_manager_class=_SamePython,
            shutdown_kernel="immediate",  # all that the notebook made is on the disk; a polite farewell takes a second
            # a profile of its own: the user's start-up files have no part in a report
            extra_arguments=[f"--ipython-dir={output.parent}", "--log-level=CRITICAL"],
        )  # fmt: skip
    except PapermillExecutionError as error:
        raise ReportError(_sentence(error)) from error
    except (DeadKernelError, RuntimeError) as error:
        raise ReportError(f"The report's Python process ended before it was done ({error}).") from error


class _SamePython(AsyncKernelManager):
    """Starts the kernel with this very Python, whatever kernels the user has registered, or none."""

    @default("kernel_spec_manager")
    def _no_registered_kernels(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])  # it then falls back to ipykernel in sys.executable


def _sentence(error: PapermillExecutionError) -> str:
    """What stopped the notebook. Errors of Synth's own are sentences already."""
    message = str(error.evalue).strip().split("\n")[0]
    if error.ename in {cls.__name__ for cls in SynthError.__subclasses__()}:
        return message
    return f"The notebook stopped in cell {error.exec_count} with {error.ename}: {message}"
