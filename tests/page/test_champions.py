"""What training promoted is offered."""

import pytest
import torch
from mlflow_store import new_store
from safetensors.torch import save_file

from synth.errors import InputError
from synth.measure.intervals import Figure
from synth.page.champions import champions
from synth.serve.catalogue import Catalogue
from synth.train.connection import connect
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


def test_a_lora_is_offered_over_its_base_and_what_cannot_be_had_is_told(tmp_path, capsys):
    layer = "unet.down_blocks.0.resnets.0.conv1"
    weights = {f"{layer}.lora_A.weight": torch.zeros(2, 3, 3, 3), f"{layer}.lora_B.weight": torch.zeros(3, 2, 1, 1)}
    (tmp_path / "lora").mkdir()
    save_file(weights, tmp_path / "lora" / "pytorch_lora_weights.safetensors")
    (tmp_path / "params.yaml").write_text(
        f"train: {{kind: unet}}\ntrack: {{uri: 'sqlite:///{tmp_path}/mlflow.db', model: mine}}\n"
    )
    track = new_store(tmp_path, model="mine")
    measured = Measured(Figure("loss", 0.5, 0.49, 0.51), {})
    version = register(tmp_path / "run", tmp_path / "lora", measured, track)
    promote(version, track)
    assert champions(tmp_path / "kept") == []
    assert "the page offers no champion: mine version 1" in capsys.readouterr().err

    connect(track).log_param(version.run, "train.base", "vignettes")
    (name,) = champions(tmp_path / "kept")
    assert name.startswith("champion=vignettes+")
    offer = Catalogue([name]).offers["champion"]
    assert (offer.kind, offer.source, offer.present) == ("renderer", "vignettes", True)
    assert offer.settings["fast"].steps == 3
    with pytest.raises(InputError, match="it is a LoRA: give mine=BASE+"):
        Catalogue([f"mine={tmp_path}/lora"])
