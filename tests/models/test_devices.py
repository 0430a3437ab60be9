"""The choice of device and number format."""

import pytest
import torch

from synth.errors import InputError
from synth.models.devices import choose_device, choose_dtype, describe, free_memory, is_out_of_memory


def test_the_choice_can_be_overridden():
    assert choose_device("cpu") == "cpu"
    assert choose_device() in ("cuda", "mps", "cpu")
    assert choose_dtype("bfloat16", "cpu") == "bfloat16"
    assert choose_dtype("auto", "cpu") == "float32"
    assert choose_dtype("auto", "mps") == "float16"


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "", "CPU"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(InputError, match="device"):
        choose_device(device)


def test_an_unknown_dtype_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'float16'"):
        choose_dtype("fp16", "cpu")


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("x"), MemoryError(), RuntimeError("[enforce] can't allocate memory: you")]
)
def test_out_of_memory_is_recognised(error):
    assert is_out_of_memory(error)


def test_a_real_failed_allocation_is_recognised():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**58, dtype=torch.uint8)
    assert is_out_of_memory(error.value)


def test_other_errors_are_not_taken_for_it():
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_the_description_says_what_would_be_used():
    told = describe()
    assert told["device"] == choose_device() and told["dtype"] == choose_dtype()
    assert 0 < free_memory("cpu") <= told["memory_total"] or told["device"] != "cpu"
    assert told["available"][-1] == "cpu"
