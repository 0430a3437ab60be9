"""The container's entry, run on this machine between folders and variables laid out as the service does."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import container
import pytest
from ports import free_port

from synth.train.cloud.entry import command, main
from synth.train.params import Params


@pytest.fixture
def data(tmp_path) -> Path:
    folder = tmp_path / "bucket"
    folder.mkdir()
    (folder / "prompts.txt").write_text("a red tulip\na blue tulip\na barn in the snow\na barn in the rain\n")
    return folder


def place(tmp_path, data, **how) -> container.Container:
    made = container.make(tmp_path / "opt" / "ml", data, **how)
    Params().write(made.root / "input" / "data" / "code" / "params.yaml")
    return made


def ran(made: container.Container, *words: str, **env: str) -> subprocess.CompletedProcess:
    how = {"env": made.env | env, "capture_output": True, "text": True, "timeout": 120}
    return subprocess.run(container.started_with(made, *words), **how)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_alone_it_is_the_command_of_any_machine_and_the_model_lies_where_it_is_collected(tmp_path, data):
    made = place(tmp_path, data)
    done = ran(made, "unet")
    assert done.returncode == 0, done.stderr
    facts = json.loads((made.run / "facts-0.json").read_text())
    code = made.root / "input" / "data" / "code"
    assert facts["words"] == [
        "train", "unet", "--params", f"{code}/params.yaml", "--out", str(made.run),
        "--data", str(made.root / "input" / "data" / "train"),
    ]  # fmt: skip
    assert facts["RANK"] is None
    assert files(made.root / "model") == {"model_index.json"}
    left = {"log.jsonl", "samples/step.png", "facts-0.json", "result.json", "checkpoints/step"}
    assert files(made.root / "output" / "data" / "run") == left, "of the checkpoints the model's own"
    assert not made.failure.exists()


def test_a_file_of_texts_and_a_base_in_a_channel_are_named(tmp_path, data):
    made = place(tmp_path, data)
    words = command(["gpt2", "prompts.txt"], made.env | {"SM_CHANNEL_BASE": "/opt/ml/input/data/base"}, made.run)
    assert words[:5] == [sys.executable, "-m", "synth", "train", "gpt2"]
    assert words[-4:] == ["--data", f"{made.env['SM_CHANNEL_TRAIN']}/prompts.txt", "--base", "/opt/ml/input/data/base"]


def test_two_steps_of_the_real_training(tmp_path, data, tiny_gpt2):
    made = place(tmp_path, data)
    params = Params().but("train", steps=2, batch_size=2, warmup=1, validate_every=1, checkpoint_every=1)
    params.write(made.root / "input" / "data" / "code" / "params.yaml")
    words = container.started_with(made, "gpt2", "prompts.txt", stand_in=False)
    env = made.env | {"SM_CHANNEL_BASE": str(tiny_gpt2)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert {"model.safetensors", "config.json", "README.md"} <= files(made.root / "model")
    assert {"run.json", "params.yaml", "log.jsonl"} <= files(made.root / "output" / "data" / "run")
    assert "checkpoints/step-00000002.safetensors" in files(made.run)


def test_torchrun_is_told_of_all_hosts_and_gpus(tmp_path, data):
    made = place(tmp_path, data, host="algo-2", hosts=("algo-1", "algo-2", "algo-10"), gpus=4, port=7777)
    words = command(["unet"], made.env, made.run)
    assert words[1:8] == [
        "-m", "torch.distributed.run", "--nnodes=3", "--nproc-per-node=4", "--node-rank=2", "--master-addr=127.0.0.1",
        "--master-port=7777",
    ]  # fmt: skip
    assert words[8:12] == ["-m", "synth", "train", "unet"]


def test_two_hosts_train_together_and_the_first_delivers(tmp_path, data):
    hosts, port = ("algo-1", "algo-2"), free_port()
    made = [container.make(tmp_path / host / "ml", data, host=host, hosts=hosts, port=port) for host in hosts]
    for one in made:
        Params().write(one.root / "input" / "data" / "code" / "params.yaml")
    how = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
    processes = [subprocess.Popen(container.started_with(one, "unet"), env=one.env, **how) for one in made]
    for process in processes:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    for rank, one in enumerate(made):
        facts = json.loads((one.run / f"facts-{rank}.json").read_text())
        assert (facts["RANK"], facts["WORLD_SIZE"], facts["NCCL_SOCKET_IFNAME"]) == (str(rank), "2", "lo")
    assert files(made[0].root / "model") == {"model_index.json"}
    assert files(made[1].root / "model") == set()


@pytest.mark.parametrize("gpus", [0, 2])
def test_sigterm_reaches_the_training_which_saves_and_later_goes_on(tmp_path, data, gpus):
    made = place(tmp_path, data, gpus=gpus)
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(container.started_with(made, "unet"), env=made.env | {"STEPS": "600"}, **how)
    said = ""
    while said.count("training") < max(1, gpus):  # two processes' lines may run into one another
        assert (line := process.stdout.readline())
        said += line
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    step = int((made.run / "checkpoints" / "step").read_text())
    assert 0 < step < 600
    assert not made.failure.exists()  # an interruption is no failure
    assert files(made.root / "model") == set()
    done = ran(made, "unet", STEPS=str(step + 2))
    assert done.returncode == 0, done.stderr
    assert json.loads((made.run / "facts-0.json").read_text())["start"] == step
    assert files(made.root / "model") == {"model_index.json"}


@pytest.mark.parametrize("gpus", [0, 2])
def test_why_a_training_failed_lies_where_the_service_looks(tmp_path, data, gpus):
    made = place(tmp_path, data, gpus=gpus)
    with (made.root / "input" / "data" / "code" / "params.yaml").open("a") as file:
        file.write("# lr\n")
    done = ran(made, "unet")
    assert done.returncode == 1
    assert made.failure.read_text() == "synth: lr: 'fast' cannot be used; give a number"
    assert "synth: lr: 'fast'" in done.stderr


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemError('odd')", "SystemError: odd"),
        ("import os; os.kill(os.getpid(), 9)", "the training ended with exit code -9"),
        ("import sys; sys.exit('x' * 5000)", "x" * 1000),
        ("", "No such file or directory"),
    ],
)
def test_any_other_end_is_told_too(tmp_path, data, monkeypatch, program, said):
    made = place(tmp_path, data)
    (tmp_path / "odd.py").write_text(program)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["unet"], program=[str(tmp_path / "odd.py")], checkpoints=made.root / "checkpoints") != 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert said in made.failure.read_text() and len(made.failure.read_text()) <= 1024


def test_variables_that_are_missing_are_a_failure_with_their_name(tmp_path, data, monkeypatch):
    made = place(tmp_path, data)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SM_CHANNEL_TRAIN")
    assert main(["unet"]) == 1
    assert "SM_CHANNEL_TRAIN" in made.failure.read_text()


def test_it_loads_nothing_but_the_standard_library(tmp_path):
    code = "import sys, synth.train.cloud.entry; print(sorted({'torch', 'yaml', 'numpy', 'boto3'} & set(sys.modules)))"
    env = os.environ | {"PYTHONPATH": str(container.ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
