import subprocess
import sys

import pytest

import synth


def test_importing_synth_loads_nothing_heavy():
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
import synth
synth.Settings, synth.Job, synth.SynthError
heavy = {{"torch", "diffusers", "transformers", "pandas", "matplotlib", "numpy", "PIL"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("name", synth.__all__)
def test_every_export_is_there(name):
    assert getattr(synth, name) is not None
    assert name in dir(synth)


def test_what_is_not_exported_is_told():
    with pytest.raises(AttributeError, match="module 'synth' has no attribute 'paint'"):
        synth.paint  # noqa: B018
