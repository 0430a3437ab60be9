"""Commands that train: train vignettes, data, unet, gpt2, vae, clip, evaluate, promote, best, config, sagemaker."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import synth.train
from synth.cli.options import add_common, add_dataclass, given
from synth.cli.parsing import add_command
from synth.cli.train_data import register_data
from synth.cli.train_sagemaker import register_sagemaker
from synth.errors import InputError
from synth.jobs import check_choice, check_whole
from synth.train.params import KINDS, Params, Train

ACTIONS = ("data", *KINDS, "evaluate", "promote", "best", "config", "sagemaker", "vignettes")
CONFIGS = ("two_cpu_processes", "gpus", "fsdp")
# What --stage all runs; "export" replaces what ships.
STAGES = ("vae", "judge", "tokenizers", "clip", "unet", "gpt2", "upscaler")
# Options that say nothing to a kind of model; in a params.yaml for all of them they may stand.
FOREIGN = {
    "unet": ("kind",),
    "gpt2": ("kind", "text_encoder", "prediction", "snr_gamma", "caption_dropout", "compile"),
}
FOREIGN["vae"] = FOREIGN["clip"] = (*FOREIGN["gpt2"], "lora_rank", "lora_alpha")
ABOUT = {
    "unet": "train or fine-tune a Stable Diffusion UNet, whole or as a LoRA",
    "gpt2": "train or fine-tune GPT-2 on prompts or captions",
    "vae": "train or fine-tune a Stable Diffusion autoencoder",
    "clip": "train or fine-tune a CLIP",
}
EXAMPLES = {
    "unet": (
        "synth train unet --data my_pictures --out runs/mine --lora-rank 8 --learning-rate 5e-4",
        "synth train unet --data prepared --out runs/mine --params params.yaml --steps 2000",
        "torchrun --nproc_per_node 2 -m synth train unet --data prepared --out runs/mine",
    ),
    "gpt2": (
        "synth train gpt2 --data prompts.csv --out runs/words",
        "synth train gpt2 --data prepared --out runs/words --base gpt2 --lora-rank 8     (its captions)",
        "synth expand 'a red lighthouse' --expander runs/words/model",
    ),
    "vae": ("synth train vae --data my_pictures --out runs/vae --base sd2.1-base --learning-rate 1e-5",),
    "clip": ("synth train clip --data my_pictures --out runs/clip --batch-size 64",),
}


def register(commands: Any) -> None:
    """Add the commands."""
    parser = add_command(
        commands, "train", None, "train and fine-tune models, measure them, keep the best",
        "synth train data prepare my_pictures --out prepared",
        "synth train unet --data prepared --out runs/mine --lora-rank 8",
        "synth render prompts.txt --model runs/mine/checkpoints/step-00000500.safetensors",
    )  # fmt: skip
    actions = parser.add_subparsers(metavar=" | ".join(ACTIONS), required=True)
    register_data(actions)
    for kind in KINDS:
        _register_kind(actions, kind)
    _register_evaluate(actions)
    _register_promote(actions)
    _register_best(actions)
    _register_config(actions)
    register_sagemaker(actions)
    _register_vignettes(actions)


def train(arguments: Namespace) -> int:
    params = read_params(arguments)
    if not (arguments.data or arguments.params):
        raise InputError("data", None, "give --data, a folder of captioned pictures, prepared or not, or --params")
    from synth.train.runs import train as run

    done = run(
        params, arguments.data, arguments.out, device=arguments.device or "auto", replace_other=arguments.replace
    )
    if done is None:  # not the main one of several processes
        return 0
    figures = ", ".join(f"{name} {value:.4g}" for name, value in done.figures.items())
    print(f"{done.best.name} is the best ({figures}); the model is {done.model}")
    return 0


def read_params(arguments: Namespace) -> Params:
    """The parameters of --params, or the defaults, with what the other options say."""
    return _params(arguments).but("train", **given(arguments, Train) | {"kind": arguments.kind})


def evaluate(arguments: Namespace) -> int:
    from synth.train.evaluation import evaluate as measure

    how = Params.read(arguments.params).evaluate if arguments.params else None
    print(measure(arguments.run_folder, data=arguments.data, how=how, device=arguments.device or "auto").table())
    return 0


def promote(arguments: Namespace) -> int:
    from synth.train.promotion import promote as promote_run

    outcome = promote_run(arguments.run_folder, _track(arguments), out=arguments.champion)
    print(f"{'Promoted' if outcome.promoted else 'Not promoted'}: {outcome.reason}. Champion: {outcome.champion}")
    return 0


def best(arguments: Namespace) -> int:
    from synth.train.registry import best as fetch

    track = _track(arguments).of(arguments.kind or _params(arguments).train.kind)
    folder, champion, beaten = fetch(track, arguments.out)
    print(f"{folder} has {champion}; it beat {beaten or 'nobody: it was the first'}")
    return 0


def config(arguments: Namespace) -> int:
    check_choice("config", arguments.name, CONFIGS)
    print(Path(synth.train.__file__).parent / "configs" / f"{arguments.name}.yaml")
    return 0


def _params(arguments: Namespace) -> Params:
    return Params.read(arguments.params) if arguments.params else Params()


def _track(arguments: Namespace) -> Any:
    """Where the registry is: --uri, or track.uri of --params, or MLflow's own file here."""
    from dataclasses import replace

    track = _params(arguments).track
    uri = arguments.uri or (track.uri if track.uri != "off" else "sqlite:///mlflow.db")
    return replace(track, uri=uri)


def train_vignettes(arguments: Namespace) -> int:
    from synth.models.devices import choose_device
    from synth.train.vignettes import Workshop
    from synth.train.vignettes import train_vignettes as train_stage

    if arguments.steps is not None:
        check_whole("steps", arguments.steps, 1, 10_000_000)
    device = choose_device(arguments.device or "auto")
    shop = Workshop(arguments.work, device=device, warm=arguments.warm, compile=arguments.compile)
    for stage in STAGES if arguments.stage == "all" else (arguments.stage,):
        figures = train_stage(stage, shop, steps=arguments.steps)
        print(f"{stage}: {', '.join(f'{name} {value:.6g}' for name, value in figures.items())}", flush=True)
    return 0


def _register_kind(actions: Any, kind: str) -> None:
    parser = add_command(actions, kind, train, ABOUT[kind], *EXAMPLES[kind])
    what = "texts (.txt, .csv, .parquet) or a prepared set" if kind == "gpt2" else "captioned pictures, prepared or not"
    parser.add_argument("--data", type=Path, metavar="PATH", help=f"{what} (default: data.source of --params)")
    what = "of this training; the same command again goes on where it stopped"
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help=what)
    what = "a params.yaml; the options under `how to train` go before what it says"
    parser.add_argument("--params", type=Path, metavar="FILE", help=what)
    parser.add_argument("--replace", action="store_true", help="delete a training with other parameters that is there")
    add_common(parser, "device")
    add_dataclass(parser, "how to train", Train, without=FOREIGN[kind])
    parser.set_defaults(kind=kind)


def _register_evaluate(actions: Any) -> None:
    parser = add_command(
        actions, "evaluate", evaluate, "measure a trained model on what was held out, before and after",
        "synth train evaluate runs/mine",
    )  # fmt: skip
    _add_run(parser)
    parser.add_argument("--data", type=Path, metavar="PATH", help="measure on these instead of its own held-out data")
    parser.add_argument("--params", type=Path, metavar="FILE", help="take the section evaluate from this params.yaml")
    add_common(parser, "device")


def _register_promote(actions: Any) -> None:
    parser = add_command(
        actions, "promote", promote, "make a measured model the champion, if it is better by more than its noise",
        "synth train promote runs/mine",
    )  # fmt: skip
    _add_run(parser)
    _add_registry(parser)
    what = "write there who the champion is, only when that changes"
    parser.add_argument("--champion", type=Path, metavar="FILE", help=what)


def _register_best(actions: Any) -> None:
    parser = add_command(
        actions, "best", best, "fetch the champion, verify its digest, and say what it beat",
        "synth train best --out champion",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("champion"), metavar="FOLDER", help="default: champion")
    what = f"whose champion, where track.model names none: {', '.join(KINDS)} (default: train.kind, or unet)"
    parser.add_argument("--kind", choices=KINDS, metavar="KIND", help=what)
    _add_registry(parser)


def _register_config(actions: Any) -> None:
    parser = add_command(
        actions, "config", config, "print where a configuration of accelerate is, for several processes or GPUs",
        "synth train config fsdp",
        "accelerate launch --config_file $(synth train config gpus) --num_processes 8 -m synth train unet --data ...",
    )  # fmt: skip
    what = "two_cpu_processes; gpus: each with all weights (DDP); fsdp: each with a share of them (FSDP2)"
    parser.add_argument("name", metavar="NAME", help=what)


def _add_run(parser: Any) -> None:
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a finished training")


def _add_registry(parser: Any) -> None:
    parser.add_argument("--params", type=Path, metavar="FILE", help="take the section track from this params.yaml")
    parser.add_argument("--uri", metavar="URI", help="of MLflow (default: track.uri, or sqlite:///mlflow.db)")


def _register_vignettes(actions: Any) -> None:
    parser = add_command(
        actions, "vignettes", train_vignettes, "train the bundled models from nothing, or go on where that stopped",
        "synth train vignettes --work training --device cuda --compile",
        "synth train vignettes --work training --stage export     (replaces the models in this installation)",
    )  # fmt: skip
    stages = f"{', '.join(STAGES)}; all: these in this order (default); export: put the results into the package"
    parser.add_argument("--stage", default="all", metavar="STAGE", help=stages)
    work = "data, checkpoints and logs (default: training)"
    parser.add_argument("--work", type=Path, default=Path("training"), metavar="FOLDER", help=work)
    add_common(parser, "device")
    parser.add_argument("--warm", action="store_true", help="a stage that has not begun starts from what ships")
    parser.add_argument("--steps", type=int, metavar="N", help="instead of the recipe's, for each stage")
    parser.add_argument("--compile", action="store_true", help="compile the UNet with torch.compile")
