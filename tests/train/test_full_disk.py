"""A disk that fills up while a training writes: one line says so, what was saved stays, more room is all it takes."""

import resource
import shutil
import signal
import subprocess
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import load_file

from synth.cli import main
from synth.train.checkpoints import checkpoints
from synth.train.data.preparation import prepare
from synth.train.params import Data

SHORT = ["--steps", "2", "--batch-size", "4", "--validate-every", "2", "--checkpoint-every", "1", "--precision", "fp32"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two dozen vignettes of 64 pixels."""
    out = tmp_path_factory.mktemp("data") / "ready"
    return prepare(Data(source="vignettes", size=64, limit=24), out, progress=False).folder


def complaint(words, capsys):
    """The one line on stderr of a command that ends with exit code 2, progress bars apart."""
    assert main([str(word) for word in words]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("synth:", "Traceback"))]
    assert len(said) == 1 and said[0].startswith("synth: ")
    return said[0]


@pytest.fixture
def small_disk(tmp_path):
    """A function that gives a folder a disk of its own, or that disk another size; where nobody forbids it."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def sized(size, *remount):
        options = ",".join([*remount, f"size={size}"])
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True)
        if done.returncode:
            pytest.skip("mounting a small disk is not allowed here")
        return folder

    yield sized
    subprocess.run(["umount", "--lazy", folder], capture_output=True)


def test_a_disk_that_is_full_costs_nothing_but_time(data, tiny_sd, small_disk, tmp_path, capsys):
    """The second checkpoint finds no room; the first stays as it was, and with more room all ends as if nothing was."""
    disk = small_disk("4m")  # a checkpoint has 2.5 MB
    command = ["train", "vae", "--data", data, "--base", tiny_sd, *SHORT, "--out"]
    said = complaint([*command, disk / "run"], capsys)
    [good] = checkpoints(disk / "run" / "checkpoints")
    assert "step-00000002.safetensors cannot be written" in said and "No space left on device" in said
    assert "free some space" in said and said.endswith(f"the last good checkpoint is {good}")
    assert not list((disk / "run" / "checkpoints").glob("*.part")) and len(load_file(good)) > 10
    small_disk("30m", "remount")
    for out in (disk / "run", tmp_path / "whole"):
        assert main(list(map(str, [*command, out]))) == 0
    ends = [load_file(checkpoints(folder / "checkpoints")[-1]) for folder in (disk / "run", tmp_path / "whole")]
    assert ends[0].keys() == ends[1].keys() and all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@contextmanager
def files_of_at_most(size):
    """A block in which no file may grow beyond `size` bytes, as with a quota; that takes nobody's permission."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond it is then an OSError
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)


def test_a_file_that_may_not_grow_is_told_like_a_full_disk(data, tiny_sd, tmp_path, capsys):
    """The same where no disk may be mounted: of a training cut after its first step, the second cannot be saved."""
    command = ["train", "vae", "--data", data, "--base", tiny_sd, *SHORT, "--out"]
    assert main(list(map(str, [*command, tmp_path / "whole"]))) == 0
    run = shutil.copytree(tmp_path / "whole", tmp_path / "run")
    shutil.rmtree(run / "model")
    (run / "result.json").unlink()
    good, last = checkpoints(run / "checkpoints")
    saved = good.read_bytes()
    last.unlink()
    with files_of_at_most(len(saved) // 2):
        said = complaint([*command, run], capsys)
    assert "step-00000002.safetensors cannot be written" in said and "File too large" in said
    assert said.endswith(f"the last good checkpoint is {good}") and good.read_bytes() == saved
    assert [path.name for path in (run / "checkpoints").iterdir()] == [good.name]
    assert main(list(map(str, [*command, run]))) == 0
    whole, after = (load_file(checkpoints(folder / "checkpoints")[-1]) for folder in (tmp_path / "whole", run))
    assert whole.keys() == after.keys() and all(torch.equal(whole[name], after[name]) for name in whole)


def test_a_disk_without_room_for_the_model_keeps_the_checkpoint(data, tiny_sd, small_disk, capsys):
    disk = small_disk("6m")
    command = ["train", "vae", "--data", data, "--base", tiny_sd, *SHORT, "--keep-last", "1", "--out", disk / "run"]
    said = complaint(command, capsys)
    [good] = checkpoints(disk / "run" / "checkpoints")
    assert good.name == "step-00000002.safetensors" and said.endswith(f"the last good checkpoint is {good}")
    assert not (disk / "run" / "model").exists() and not (disk / "run" / "model.part").exists()
    small_disk("30m", "remount")
    assert main(list(map(str, command))) == 0 and (disk / "run" / "model" / "vae").is_dir()


def test_a_disk_without_room_for_what_is_cached_says_so(data, tiny_sd, small_disk, capsys):
    disk = small_disk("600k")
    copied = shutil.copytree(data, disk / "ready")
    command = ["train", "unet", "--data", copied, "--base", tiny_sd, *SHORT, "--out", disk.parent / "run"]
    said = complaint(command, capsys)
    assert "states.npy cannot be written (No space left on device); free some space" in said
    assert not list(disk.rglob("states.npy"))
    small_disk("5m", "remount")
    assert main(list(map(str, command))) == 0
