"""What training promoted is offered."""

from mlflow_store import new_store

from synth.measure.intervals import Figure
from synth.page.champions import champions
from synth.serve.catalogue import Catalogue
from synth.train.measured import Measured
from synth.train.registry import promote, register


def test_a_champion_is_offered_and_none_where_nothing_was_promoted(tmp_path, tiny_sd):
    assert champions(tmp_path / "none") == []
    assert not (tmp_path / "mlflow.db").exists()
    track = new_store(tmp_path).of("unet")
    measured = Measured(Figure("loss", 0.5, 0.49, 0.51), {})
    promote(register(tmp_path / "run", tiny_sd, measured, track), track)
    names = champions(tmp_path / "kept")
    assert champions(tmp_path / "kept") == names  # which costs nothing twice
    offer = Catalogue(names).offers["champion"]
    assert offer.kind == "renderer" and offer.present
    assert [folder.name for folder in (tmp_path / "kept").iterdir()] == [offer.source.split("/")[-1]]
