"""Two processes that each hold a share of the weights train as one that holds all of them, and save what it would."""

import shutil
from pathlib import Path

import pytest
import torch
from accelerate import DistributedType
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.state import AcceleratorState
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file
from several_processes import CONFIGS, together
from torch import nn
from transformers import AutoModelForCausalLM

from synth.cli import main
from synth.errors import InputError
from synth.train.checkpoints import checkpoints
from synth.train.learners import check_clip
from synth.train.loop import read_log
from synth.train.params import Train
from synth.train.processes import Processes, Whole

FSDP = CONFIGS / "fsdp.yaml"
HOW = ["--steps", "3", "--batch-size", "8", "--validate-every", "2", "--checkpoint-every", "1", "--keep-last", "3"]
HOW += ["--precision", "fp32", "--warmup", "1", "--learning-rate", "0.001"]


@pytest.fixture(scope="module")
def runs(tiny_sd, tiny_gpt2, tmp_path_factory):
    """Trainings in one process (alone) and in two that share the weights (shared), of the same name."""
    root = tmp_path_factory.mktemp("sharding")
    (root / "prompts.txt").write_text("\n".join(f"a {thing} of glass" for thing in ("house", "boat", "horse", "cat")))
    (root / "params.yaml").write_text("data: {source: vignettes, size: 64, limit: 24}\nevaluate: {steps: 1}\n")
    params = ["--params", root / "params.yaml"]
    assert main(list(map(str, ["train", "data", "prepare", *params, "--out", root / "data"]))) == 0
    kinds = {
        "unet": ["unet", *params, "--data", root / "data", "--base", tiny_sd, "--text-encoder", "1"],
        "lora": ["unet", *params, "--data", root / "data", "--base", tiny_sd, "--lora-rank", "2", "--accumulate", "2"],
        "vae": ["vae", *params, "--data", root / "data", "--base", tiny_sd],
        "gpt2": ["gpt2", "--data", root / "prompts.txt", "--base", tiny_gpt2],
    }
    commands = {name: ["train", *words, *HOW, "--out"] for name, words in kinds.items()}
    for name, words in commands.items():
        assert main(list(map(str, [*words, root / "alone" / name]))) == 0
    together([[*words, root / "shared" / name] for name, words in commands.items()], root / "first", config=FSDP)
    _cut(root, "unet")
    together([[*commands["unet"], root / "resumed" / "unet"]], root / "second", config=FSDP)
    assert main(list(map(str, [*commands["unet"], root / "resumed alone" / "unet"]))) == 0
    return root


def _cut(root: Path, name: str) -> None:
    """Copies of a sharded training that was killed after its second step."""
    for copy in ("resumed", "resumed alone"):
        shutil.copytree(root / "shared" / name, root / copy / name)
        shutil.rmtree(root / copy / name / "model")
        for path in checkpoints(root / copy / name / "checkpoints")[2:]:
            path.unlink()


def log(run: Path) -> list[float]:
    """All losses and validations of a run."""
    lines = read_log(run / "log.jsonl")
    return [value for line in lines for name, value in line.items() if name == "loss" or name.startswith("validation_")]


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """How far two sets of tensors of the same names lie apart, relatively."""
    assert one.keys() == other.keys()
    flat, same = (torch.cat([tensors[name].flatten() for name in one]) for tensors in (one, other))
    return float((flat - same).norm() / flat.norm())


def last(run: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoints(run / "checkpoints")[-1])


@pytest.mark.parametrize("name", ["unet", "lora", "vae", "gpt2"])
def test_shares_train_as_the_whole_does(name, runs):
    alone, shared = runs / "alone" / name, runs / "shared" / name
    assert len(log(alone)) >= 5 and log(shared) == pytest.approx(log(alone), rel=1e-4)
    assert apart(last(alone), last(shared)) < 1e-4


def test_a_resumed_training_ends_with_the_same_weights(runs):
    whole, resumed, alone = (last(runs / how / "unet") for how in ("shared", "resumed", "resumed alone"))
    assert whole.keys() == resumed.keys() and all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert apart(whole, alone) < 1e-4


def test_the_main_process_writes_a_whole_model(runs):
    for name, file in (("unet", "unet/diffusion_pytorch_model.safetensors"), ("gpt2", "model.safetensors")):
        assert apart(*(load_file(runs / how / name / "model" / file) for how in ("alone", "shared"))) < 1e-4
    gpt2 = AutoModelForCausalLM.from_pretrained(runs / "shared" / "gpt2" / "model", local_files_only=True)
    assert gpt2.lm_head.weight is gpt2.transformer.wte.weight, "tied weights stay tied"


def test_blocks_are_gathered_one_at_a_time(tiny_sd):
    unet = UNet2DConditionModel.from_pretrained(tiny_sd / "unet", local_files_only=True)
    assert "BasicTransformerBlock" in Whole({"unet": unet})._no_split_modules
    assert Whole({"line": nn.Linear(1, 1)})._no_split_modules == []


def test_a_clip_is_not_shared_out():
    """FSDP2 takes no parameter without dimensions, which CLIP's temperature is."""
    with pytest.raises(InputError, match="distributed_type: 'FSDP' cannot be used; use the configuration gpus"):
        check_clip(Train(kind="clip"), sharded=True)
    check_clip(Train(kind="clip"))
    check_clip(Train(kind="vae"), sharded=True)


def test_another_way_to_share_weights_is_refused(monkeypatch):
    processes = Processes("cpu")
    monkeypatch.setitem(AcceleratorState._shared_state, "distributed_type", DistributedType.DEEPSPEED)
    with pytest.raises(InputError, match="'DEEPSPEED' cannot be used; .*`synth train config`"):
        processes.check(Train())


@pytest.mark.parametrize(("name", "kind"), [
    ("two_cpu_processes", DistributedType.MULTI_CPU),
    ("gpus", DistributedType.MULTI_GPU),
    ("fsdp", DistributedType.FSDP),
])  # fmt: skip
def test_accelerate_takes_each_configuration(name, kind, capsys):
    assert main(["train", "config", name]) == 0
    path = capsys.readouterr().out.strip()
    assert load_config_from_file(path).distributed_type == kind
    launch = launch_command_parser().parse_args(["--config_file", path, "--num_processes", "4", "program"])
    launch = _validate_launch_command(launch)[0]
    assert (launch.use_cpu, launch.multi_gpu, launch.use_fsdp) == tuple(
        kind == one for one in (DistributedType.MULTI_CPU, DistributedType.MULTI_GPU, DistributedType.FSDP)
    )
