"""Everything that Synth can tell a user went wrong.

SynthError
├── InputError        a value given by the user: names the field, the value and the remedy
├── ModelError        a model that is missing, gated, removed, unsafe or broken
├── StudyError        a study folder that cannot be read, written or found
├── RenderError       a picture that could not be made
├── TrainError        a training that cannot go on; names its last good checkpoint
└── ReportError       a notebook that failed while it was executed

Each message is one sentence or two a user can act on; the command line prints it without a traceback and exits with 2.
"""

LONGEST = 250  # characters of a value that are shown: a path is told whole


class SynthError(Exception):
    """Base of all errors that are meant for the user's eyes."""


class InputError(SynthError, ValueError):
    """A value that cannot be used.

    >>> str(InputError("steps", 0, "use a whole number from 1 to 1000"))
    'steps: 0 cannot be used; use a whole number from 1 to 1000'
    """

    def __init__(self, field: str, value: object, remedy: str) -> None:
        self.field, self.value, self.remedy = field, value, remedy
        shown = repr(value)
        if len(shown) > LONGEST:
            shown = f"{shown[: LONGEST - 50]}... ({len(shown):,} characters)"
        super().__init__(f"{field}: {shown} cannot be used; {remedy}")

    def __reduce__(self) -> tuple:
        return InputError, (self.field, self.value, self.remedy)  # workers send it to the process that asked


class ModelError(SynthError):
    """A model that cannot be loaded."""


class StudyError(SynthError):
    """A study folder that cannot be used."""


class RenderError(SynthError):
    """A picture that could not be made."""


class TrainError(SynthError):
    """A training that cannot go on."""


class ReportError(SynthError):
    """A notebook that failed while it was executed."""
