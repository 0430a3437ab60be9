"""A phrase goes in; GPT-2 turns it into prompts, Stable Diffusion turns them into pictures, a notebook into a report.

>>> import synth
>>> s = synth.study("a red lighthouse at sunset")   # doctest: +SKIP
>>> s.frame()                                       # doctest: +SKIP
>>> s.grid()                                        # doctest: +SKIP

Names are loaded when they are first used, so that `import synth` needs neither torch nor pandas.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "expand": "expansion",
    "render": "rendering",
    "study": "studies",
    "Study": "studies",
    "list_studies": "studies",
    "delete_study": "studies",
    "report": "reporting",
    "verify": "records.verification",
    "Settings": "jobs",
    "ExpansionSettings": "jobs",
    "ModelRef": "jobs",
    "Job": "jobs",
    "Result": "jobs",
    "SynthError": "errors",
    "InputError": "errors",
    "ModelError": "errors",
    "StudyError": "errors",
    "RenderError": "errors",
    "ReportError": "errors",
    "TrainError": "errors",
}
__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'synth' has no attribute {name!r}")
    return getattr(import_module(f"synth.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
