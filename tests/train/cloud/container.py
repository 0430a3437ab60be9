"""SageMaker's container on this machine: its folders and its variables, as SDK 3 sets them."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ports import free_port

ROOT = Path(__file__).parents[3]

TRAINER = '''
"""Stands in for `synth`: a step a tenth of a second, a checkpoint at the end or on SIGTERM, and resume."""
import json, os, signal, sys, time
from pathlib import Path

words = sys.argv[1:]
option = dict(zip(words[2::2], words[3::2]))
run, rank = Path(option["--out"]), int(os.environ.get("RANK", 0))
if "lr" in Path(option["--params"]).read_text():
    time.sleep(60 * rank)  # the first process speaks, and torchrun ends the others
    sys.exit("synth: lr: 'fast' cannot be used; give a number")
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
run.mkdir(parents=True, exist_ok=True)
state = run / "checkpoints" / "step"
start = int(state.read_text()) if state.exists() else 0
print("training", flush=True)
for step in range(start + 1, int(os.environ.get("STEPS", 3)) + 1):
    time.sleep(0.1)
    if rank == 0:
        state.parent.mkdir(exist_ok=True)
        state.write_text(str(step))
    if asked:
        print("synth: interrupted", file=sys.stderr)
        sys.exit(130)
facts = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "NCCL_SOCKET_IFNAME")}
(run / f"facts-{rank}.json").write_text(json.dumps(facts | {"words": words, "start": start}))
if rank == 0:
    (run / "model").mkdir()
    (run / "model" / "model_index.json").write_text("{}")
    (run / "result.json").write_text(json.dumps({"checkpoint": "step"}))
    (run / "checkpoints" / "an older step").write_text("")
    (run / "log.jsonl").write_text(json.dumps({"step": step}))
    (run / "samples").mkdir()
    (run / "samples" / "step.png").write_bytes(b"png")
'''


@dataclass(frozen=True)
class Container:
    """One host's /opt/ml under `root`, and what its processes see of it."""

    root: Path
    env: dict[str, str]

    @property
    def run(self) -> Path:
        return self.root / "checkpoints" / "run"

    @property
    def failure(self) -> Path:
        return self.root / "output" / "failure"


def make(
    root: Path, data: Path, *, host: str = "algo-1", hosts: tuple[str, ...] = ("algo-1",), gpus: int = 0, port: int = 0
) -> Container:
    """Folders and variables as `sagemaker/train/container_drivers/scripts/environment.py` makes them."""
    for name in ("model", "output/data", "checkpoints", "input/data/code", "input/config"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "input" / "data" / "train").symlink_to(data)
    variables = {
        "SM_MODEL_DIR": root / "model",
        "SM_OUTPUT_DATA_DIR": root / "output" / "data",
        "SM_OUTPUT_FAILURE": root / "output" / "failure",
        "SM_SOURCE_DIR": root / "input" / "data" / "code",
        "SM_CHANNEL_TRAIN": root / "input" / "data" / "train",
        "SM_CHANNELS": json.dumps(["code", "sm_drivers", "train"]),
        "SM_HOSTS": json.dumps(sorted(hosts)),
        "SM_CURRENT_HOST": host,
        "SM_HOST_COUNT": len(hosts),
        "SM_NUM_GPUS": gpus,
        "SM_MASTER_ADDR": "127.0.0.1",  # there: algo-1
        "SM_MASTER_PORT": port or free_port(),  # there: 7777
        "SM_NETWORK_INTERFACE_NAME": "lo",  # there: eth0
        "SM_HPS": "{}",
    }
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return Container(root, os.environ | {name: str(value) for name, value in variables.items()} | {"PYTHONPATH": path})


def started_with(container: Container, *words: str, stand_in: bool = True) -> list[str]:
    """The command that runs the entry, with the stand-in or `-m synth`."""
    program = container.root / "trainer.py"
    program.write_text(TRAINER)
    how = f"checkpoints=Path({str(container.root / 'checkpoints')!r})"
    how += f", program=[{str(program)!r}]" if stand_in else ""
    code = "import sys; from pathlib import Path; from synth.train.cloud.entry import main; "
    return [sys.executable, "-c", code + f"sys.exit(main({list(words)!r}, {how}))"]
