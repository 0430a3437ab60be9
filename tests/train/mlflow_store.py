"""An MLflow database, made once: MLflow takes seconds to make one, and copies are as good."""

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from synth.train.connection import connect
from synth.train.params import Track


def new_store(folder: Path, **fields: str) -> Track:
    """Where an empty MLflow in `folder` is."""
    shutil.copy(_template(), folder / "mlflow.db")
    return Track(uri=f"sqlite:///{folder}/mlflow.db", experiment="tests", **fields)


@cache
def _template() -> Path:
    file = Path(mkdtemp(prefix="synth-tests-mlflow-")) / "mlflow.db"
    connect(Track(uri=f"sqlite:///{file}"))
    return file
