"""What every test gets: a place of its own, no network, one thread; and tiny models with random weights, built once."""

import os
import signal
import tempfile
from pathlib import Path

import psutil
import pytest

# Before anything imports huggingface_hub, which reads these once; processes that tests start inherit them.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="synth-tests-hub-")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (Path(__file__).parents[1], Path(__file__).parent)))
os.environ.pop("HF_TOKEN", None)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run in as many processes as there are cores

import torch
from hypothesis import HealthCheck, settings
from tiny_diffusion import build_tiny_sd, build_tiny_sdxl
from tiny_gpt2 import build_tiny_gpt2

torch.set_num_threads(1)
# A busy machine is no bug.
settings.register_profile("synth", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("synth")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, as many tests wait for servers and other processes; each takes up to 2 GB."""
    room = psutil.virtual_memory().available // 2**31
    return max(1, min((os.cpu_count() or 1) + 1, room, 8))


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Nothing that a test writes to "here" lands in the repository."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def ctrl_c():
    """Ctrl-C interrupts, also where a shell started the tests in the background, and no test leaves it otherwise."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory) -> Path:
    """A Stable Diffusion 2 shaped folder."""
    return build_tiny_sd(tmp_path_factory.mktemp("models") / "tiny-sd")


@pytest.fixture(scope="session")
def tiny_sdxl(tmp_path_factory) -> Path:
    """An SDXL shaped folder."""
    return build_tiny_sdxl(tmp_path_factory.mktemp("models") / "tiny-sdxl")


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory) -> Path:
    """A GPT-2 folder."""
    return build_tiny_gpt2(tmp_path_factory.mktemp("models") / "tiny-gpt2")
