"""What runs in SageMaker's container: the training command of any machine, between the folders that the service has.

    python3 -m synth.train.cloud.entry KIND [FILE_OF_TEXTS]

Reads the SM_ variables that SDK 3 sets. Starts one training process a GPU, on all hosts, writes checkpoints where the
service keeps them over interruptions, goes on from those, passes SIGTERM on (the training then saves a checkpoint and
ends), and leaves the model where the service collects it. Standard library only.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

CHECKPOINTS = Path("/opt/ml/checkpoints")
FAILURE = "/opt/ml/output/failure"
LONGEST = 1024  # characters of a failure that the service shows
SYNTH = ("-m", "synth")


def main(words: Sequence[str], *, program: Sequence[str] = SYNTH, checkpoints: Path = CHECKPOINTS) -> int:
    """Train, deliver, and return the exit code; a failure's reason goes to where the service looks for it.

    program: what Python runs, `-m module` or a script.
    """
    run = checkpoints / "run"
    try:
        code, reason = _watched(command(words, os.environ, run, program), Path(os.environ["SM_SOURCE_DIR"]))
        if code == 0 and _rank(os.environ) == 0:
            deliver(run, Path(os.environ["SM_MODEL_DIR"]), Path(os.environ["SM_OUTPUT_DATA_DIR"]))
    except (OSError, KeyError, ValueError) as error:
        code, reason = 1, f"{type(error).__name__}: {error}"
    if reason:
        Path(os.environ.get("SM_OUTPUT_FAILURE", FAILURE)).write_text(reason[-LONGEST:], encoding="utf-8")
    return code


def command(words: Sequence[str], env: Mapping[str, str], run: Path, program: Sequence[str] = SYNTH) -> list[str]:
    """The training command for this host, with torchrun in front where there are several processes."""
    kind, *texts = words
    training = ["train", kind, "--params", f"{env['SM_SOURCE_DIR']}/params.yaml", "--out", str(run)]
    training += ["--data", "/".join([env["SM_CHANNEL_TRAIN"], *texts])]
    if "SM_CHANNEL_BASE" in env:
        training += ["--base", env["SM_CHANNEL_BASE"]]
    hosts, processes = len(json.loads(env["SM_HOSTS"])), max(1, int(env["SM_NUM_GPUS"]))
    if hosts * processes == 1:
        return [sys.executable, *program, *training]
    cluster = {
        "nnodes": hosts,
        "nproc-per-node": processes,
        "node-rank": _rank(env),
        "master-addr": env["SM_MASTER_ADDR"],
        "master-port": env["SM_MASTER_PORT"],
    }
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        *(f"--{name}={value}" for name, value in cluster.items()),
    ]
    return [*torchrun, *program, *training]


def deliver(run: Path, model: Path, output: Path) -> None:
    """Copy a run's model to where the service takes it from, and all else beside it: of the checkpoints the model's."""
    shutil.copytree(run / "model", model, dirs_exist_ok=True)
    best = json.loads((run / "result.json").read_text(encoding="utf-8"))["checkpoint"]
    others = {path.name for path in (run / "checkpoints").iterdir()} - {best}
    shutil.copytree(run, output / "run", ignore=shutil.ignore_patterns("model", ".*", *others), dirs_exist_ok=True)


def _watched(command: Sequence[str], folder: Path) -> tuple[int, str]:
    """Run a command, passing SIGTERM on; its exit code, and why it failed, empty if it did not or was told to end."""
    network = {name: os.environ["SM_NETWORK_INTERFACE_NAME"] for name in ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")}
    last: deque[str] = deque(maxlen=50)
    told: list[int] = []
    how = {"cwd": folder, "env": os.environ | network, "stderr": subprocess.PIPE, "text": True, "errors": "replace"}
    with subprocess.Popen(command, **how) as process:

        def pass_on(number: int, _: object) -> None:
            told.append(number)
            process.send_signal(number)

        signal.signal(signal.SIGTERM, pass_on)
        for line in process.stderr:
            sys.stderr.write(line)
            last.append(line)
    return process.returncode, "" if told or process.returncode == 0 else _reason(last, process.returncode)


def _reason(last: Sequence[str], code: int) -> str:
    """Of the last lines on stderr, Synth's own sentence if there is one: torchrun's report follows it."""
    own = [line for line in last if line.startswith("synth: ") and not line.startswith("synth: note:")]
    return own[-1].strip() if own else "".join(last).strip() or f"the training ended with exit code {code}"


def _rank(env: Mapping[str, str]) -> int:
    return sorted(json.loads(env["SM_HOSTS"])).index(env["SM_CURRENT_HOST"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
