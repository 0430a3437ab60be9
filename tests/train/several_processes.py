"""Commands of synth, one after the other, in the same two CPU processes, which start only once.

`python -m torch.distributed.run ... several_processes.py COMMANDS.json [CONFIG]` is what `together` starts. With a
configuration of accelerate for FSDP the processes share out the weights as they would on two GPUs.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import synth.train
from synth.cli import main

CONFIGS = Path(synth.train.__file__).parent / "configs"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


def together(commands: Sequence[Sequence[object]], folder: Path, *, config: Path | None = None) -> list[str]:
    """Run commands in two processes; what each of the two printed."""
    folder.mkdir(exist_ok=True)
    (folder / "commands.json").write_text(json.dumps([list(map(str, words)) for words in commands]))
    program = [__file__, str(folder / "commands.json"), *([str(config)] if config else [])]
    logs = ["--redirects", "3", "--log-dir", str(folder / "logs")]
    done = subprocess.run([*TORCHRUN, *logs, *program], capture_output=True, text=True, timeout=200)
    printed = ["".join(path.read_text() for path in sorted(folder.glob(f"logs/*/*/{rank}/*.log"))) for rank in (0, 1)]
    assert done.returncode == 0, "\n".join([*printed, done.stderr])
    return printed


def share_out(config: Path) -> None:
    """Make accelerate shard the next training's weights as a configuration says, on CPUs.

    It would take these processes for plain ones, since it shards on GPUs only. All that follows from the type that it
    keeps, from the environment of its launcher to what its `prepare` makes of the modules, is its own code.
    """
    from accelerate import Accelerator, DistributedType, FullyShardedDataParallelPlugin
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils.launch import prepare_multi_gpu_env

    words = ["--config_file", str(config), "--num_processes", "2", "program"]
    launched = prepare_multi_gpu_env(_validate_launch_command(launch_command_parser().parse_args(words))[0])
    os.environ |= {name: value for name, value in launched.items() if name.startswith(("ACCELERATE_", "FSDP_"))}
    Accelerator(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.FSDP
    AcceleratorState._shared_state["distributed_type"] = DistributedType.FSDP
    AcceleratorState._shared_state["fsdp_plugin"] = FullyShardedDataParallelPlugin()


if __name__ == "__main__":
    for words in json.loads(Path(sys.argv[1]).read_text()):
        for config in sys.argv[2:]:
            share_out(Path(config))
        if code := main(words):
            sys.exit(code)
