"""An MLflow database, made once: MLflow takes seconds to make one, and copies are as good."""

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from synth.train import connection
from synth.train.params import Track


def new_store(folder: Path, **fields: str) -> Track:
    """Where an empty MLflow in `folder` is."""
    shutil.copy(_template(), folder / "mlflow.db")
    return Track(uri=f"sqlite:///{folder}/mlflow.db", experiment="tests", **fields)


@cache
def _template() -> Path:
    file = Path(mkdtemp(prefix="synth-tests-mlflow-")) / "mlflow.db"
    patience, connection.CONNECT = connection.CONNECT, 180  # a busy machine is no bug
    connection.connect(Track(uri=f"sqlite:///{file}"))
    connection.CONNECT = patience
    return file
