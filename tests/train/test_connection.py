"""What the environment tells MLflow is checked before MLflow is asked."""

import pytest

from synth.errors import InputError
from synth.train.connection import TIMEOUT, connect
from synth.train.params import Track


def test_a_patience_that_is_no_number_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv(TIMEOUT, "5s")
    with pytest.raises(InputError, match=f"{TIMEOUT}: '5s' cannot be used; set this environment variable to whole sec"):
        connect(Track(uri=f"sqlite:///{tmp_path}/mlflow.db"))
    assert not list(tmp_path.iterdir())
