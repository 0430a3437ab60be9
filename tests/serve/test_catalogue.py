import pytest

from synth.errors import InputError, SynthError
from synth.presets import PRESETS
from synth.serve.catalogue import Catalogue


def test_a_name_may_stand_for_a_path_that_clients_need_not_know(tiny_sd, tiny_gpt2):
    found = Catalogue(["vignettes", f"champion={tiny_sd}", f"words={tiny_gpt2}"])
    assert {name: offer.kind for name, offer in found.offers.items()} == {
        "vignettes": "renderer", "champion": "renderer", "words": "expander",
    }  # fmt: skip
    assert found.source("champion", "renderer") == str(tiny_sd.resolve())
    assert found.offers["champion"].settings["fast"].width == 64
    for name in (str(tiny_sd), "words", "sd2", "", "../champion"):
        with pytest.raises(InputError, match="^model: .*One of: vignettes, champion"):
            found.source(name, "renderer")


def test_what_is_not_here_is_shown_and_refused():
    found = Catalogue(["presets"])
    wanted = {name for name, preset in PRESETS.items() if preset.kind in ("renderer", "expander")}
    assert set(found.offers) == wanted
    assert found.offers["vignettes"].present and not found.offers["sdxl"].present
    with pytest.raises(InputError, match="weights are not on this server"):
        found.source("sdxl", "renderer")


@pytest.mark.parametrize("name", ["vignetes", "vignettes-clip", "x=/no/such/path", "=/tmp", "someone/model"])
def test_what_cannot_be_offered_is_told(name):
    with pytest.raises(InputError, match="^models: "):
        Catalogue([name])


def test_a_broken_folder_is_told(tmp_path):
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(SynthError):
        Catalogue([f"x={tmp_path}"])
