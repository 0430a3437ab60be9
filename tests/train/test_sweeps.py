"""A line of text becomes one set of parameters for each combination of its values."""

from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.errors import InputError
from synth.train.params import Params
from synth.train.sweeps import own_folder, variants

FIELDS = {
    "lora_rank": st.integers(0, 512),
    "learning_rate": st.floats(1e-7, 1.0),
    "prediction": st.sampled_from(["auto", "epsilon", "v_prediction"]),
    "gradient_checkpointing": st.booleans(),
}
SWEEPS = st.fixed_dictionaries(
    {}, optional={name: st.lists(values, min_size=1, max_size=3) for name, values in FIELDS.items()}
).filter(bool)


def written(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(SWEEPS, st.sampled_from([" ", "  ", "\n"]))
def test_every_combination_is_there_once_and_in_order(sweep, gap):
    text = gap.join(f"{name}={','.join(map(written, values))}" for name, values in sweep.items())
    found = [[getattr(item.train, name) for name in sweep] for item in variants(Params(), text)]
    assert found == [list(values) for values in product(*sweep.values())]


@pytest.mark.parametrize(("text", "message"), [
    ("", "give fields and their values"),
    ("lora_rank", "give fields and their values"),
    ("lora_rank=", "give fields and their values"),
    ("lora_rank = 2", "give fields and their values"),
    ("lora_rnk=2,8", "did you mean 'lora_rank'"),
    ("lora_rank=2,many", "lora_rank: 'many' cannot be used; give a whole number"),
    ("lora_rank=2,8.5", "lora_rank: 8.5 cannot be used; give a whole number"),
    ("lora_rank=2,,8", "lora_rank: '' cannot be used"),
    ("learning_rate=1e9", "use a number from 0 to 10"),
    ("prediction=noise", "did you mean"),
])  # fmt: skip
def test_what_cannot_be_swept_is_named(text, message):
    with pytest.raises(InputError, match=message):
        variants(Params(), text)


@given(st.text(max_size=40))
def test_any_text_is_a_sweep_or_one_error(text):
    with suppress(InputError):
        assert variants(Params(), text)


def test_a_folder_belongs_to_its_parameters_and_data():
    plain, adapter = variants(Params(), "lora_rank=0,8")
    assert own_folder(Path("o"), plain, "d") == own_folder(Path("o"), plain.but("evaluate", pictures=2), "d")
    folders = {own_folder(Path("o"), params, data) for params in (plain, adapter) for data in ("d", "e")}
    assert len(folders) == 4 and {folder.parent for folder in folders} == {Path("o")}
    assert sum(folder.name.startswith("unet-rank-8-steps-500-") for folder in folders) == 2
