"""The command that trains on AWS: train sagemaker."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from synth.cli.parsing import add_command
from synth.errors import InputError
from synth.train.params import KINDS, Params

# What stands in a dry run for what only the account's owner knows.
YOURS = {"role": "arn:aws:iam::000000000000:role/your-role", "bucket": "your-bucket", "region": "us-east-1"}


def register_sagemaker(actions: Any) -> None:
    """Add the command."""
    parser = add_command(
        actions, "sagemaker", sagemaker, "train on AWS SageMaker what `synth train` trains here, and fetch the result",
        "synth train sagemaker unet --data flowers --params params.yaml --dry-run",
        "synth train sagemaker unet --data flowers --params params.yaml --out runs/flowers",
    )  # fmt: skip
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="prepared by `synth train data`")
    settings = "training parameters; its section sagemaker says where, on what, how long, and what that costs an hour"
    parser.add_argument("--params", type=Path, required=True, metavar="FILE", help=settings)
    out = "of the run with model, log and samples (default: runs/ and the training's name)"
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=out)
    parser.add_argument("--dry-run", action="store_true", help="print the request; needs no AWS account, sends nothing")
    parser.add_argument("--yes", action="store_true", help="agree to the cost")


def sagemaker(arguments: Namespace) -> int:
    from synth.train.cloud.jobs import CloudJob
    from synth.train.cloud.launching import request
    from synth.train.cloud.sagemaker import train_on_sagemaker
    from synth.train.connection import check_installed

    params = Params.read(arguments.params)
    check_installed(params.track)
    if arguments.dry_run:
        params = params.but("sagemaker", **{name: text for name, text in YOURS.items() if not _has(params, name)})
    job = CloudJob.plan(arguments.kind, arguments.data, params)
    if arguments.dry_run:
        print(json.dumps(request(job), indent=1))
        return 0
    run = arguments.out or Path("runs") / job.name
    if not train_on_sagemaker(job, run, confirm=(lambda cost: _agreed(cost, arguments.yes))):
        print("Nothing was started.")
        return 1
    print(f"The model is in {run / 'model'}")
    _record(run, params)
    return 0


def _has(params: Params, name: str) -> bool:
    """Whether a field of the section sagemaker was given, or AWS's own configuration has it."""
    from synth.train.cloud.account import own_region

    return bool(getattr(params.sagemaker, name) or (name == "region" and own_region()))


def _record(run: Path, params: Params) -> None:
    from synth.train.cloud.recording import record

    version = record(run, params)
    print(f"MLflow has it as {version}" if version else "track.uri is off: MLflow knows nothing of it")


def _agreed(cost: str, yes: bool) -> bool:
    """Tell the cost, and ask unless the answer was given with the command."""
    print(cost)
    if yes:
        return True
    try:
        return input("Start it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        raise InputError("yes", False, "there is nobody to ask here: agree to the cost with --yes") from None
