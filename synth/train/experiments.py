"""What `dvc exp run` left: its trainings, taken out of DVC's cache so that they can be compared."""

from importlib.util import find_spec
from pathlib import Path

from synth.errors import InputError
from synth.records.files import write_atomically

RUN = "training/run"  # as in dvc.yaml
FILES = ("log.jsonl", "params.yaml", "run.json")


def fetch_experiments(out: Path) -> list[Path]:
    """The trainings of all experiments of the DVC repository that is here, each as a folder in `out` with its history.

    Those that failed or still wait are left out. InputError if there is no repository, or no training.
    """
    if find_spec("dvc") is None:
        raise InputError("runs", "dvc", 'install DVC with pip install "synth[dvc]"')
    from dvc.api import exp_show
    from dvc.exceptions import DvcException

    try:
        names = [row["Experiment"] for row in exp_show(num=-1) if row["Experiment"]]
    except DvcException as error:
        raise InputError("runs", "dvc", f"start where `dvc exp show` works ({error})") from None
    found = [folder for name in names if (folder := _fetch(name, out))]
    if not found:
        raise InputError("runs", "dvc", "try something first: dvc exp run evaluate -S train.learning_rate=1e-3")
    return found


def _fetch(name: str, out: Path) -> Path | None:
    """The folder with what an experiment's training left; None if that has not ended."""
    from dvc.api import read
    from dvc.exceptions import DvcException

    try:
        texts = {file: read(f"{RUN}/{file}", rev=name, encoding="utf-8") for file in FILES}
    except DvcException:
        return None
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        write_atomically(folder / file, text.encode())
    return folder
