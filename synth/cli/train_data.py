"""Commands around captioned pictures: train data prepare, show, sheet."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from synth.cli.options import add_common, add_dataclass, given
from synth.cli.parsing import add_command, counted, table
from synth.errors import InputError
from synth.jobs import check_whole
from synth.train.params import Data, Params

LISTED = 10  # pictures left out that `show` names


def register_data(actions: Any) -> None:
    """Add `data` to the actions of `synth train`."""
    parser = add_command(
        actions, "data", None, "make captioned pictures ready to be trained on, and look at them",
        "synth train data prepare my_pictures --out prepared",
        "synth train data show prepared",
        "synth train data sheet prepared samples.png",
    )  # fmt: skip
    commands = parser.add_subparsers(metavar="prepare | show | sheet", required=True)
    _register_prepare(commands)
    _register_show(commands)
    _register_sheet(commands)


def prepare(arguments: Namespace) -> int:
    from synth.train.data.preparation import prepare as make_ready
    from synth.train.data.prepared import LEFT_OUT, SPLITS

    params = Params.read(arguments.params) if arguments.params else Params()
    typed = given(arguments, Data) | ({"source": arguments.pictures} if arguments.pictures else {})
    made = make_ready(params.but("data", **typed).data, arguments.out)
    splits = ", ".join(f"{len(made.indices(split)):,} for {split}" for split in SPLITS)
    print(f"{counted(len(made), 'picture')} ({splits}) in {made.folder}")
    if made.left_out:
        print(f"{counted(len(made.left_out), 'picture')} left out; {made.folder / LEFT_OUT} says why")
    return 0


def show(arguments: Namespace) -> int:
    from synth.train.data.prepared import LEFT_OUT, PreparedSet
    from synth.train.data.statistics import describe

    prepared = PreparedSet.open(arguments.folder)
    print(table(("number", "value"), describe(prepared, arguments.model or "vignettes").rows()))
    if prepared.left_out:
        print("\n" + table(("left out", "reason"), prepared.left_out[:LISTED]))
    if len(prepared.left_out) > LISTED:
        print(f"and {len(prepared.left_out) - LISTED:,} more, in {prepared.folder / LEFT_OUT}")
    return 0


def sheet(arguments: Namespace) -> int:
    from synth.records.files import write_atomically
    from synth.train.data.figures import sample_sheet
    from synth.train.data.prepared import PreparedSet

    if arguments.file.suffix.lower() != ".png":
        raise InputError("file", str(arguments.file), "give it the ending .png")
    count = check_whole("count", arguments.count, 1, 1000)
    columns = check_whole("columns", arguments.columns, 1, 50)
    prepared = PreparedSet.open(arguments.folder)
    write_atomically(arguments.file, sample_sheet(prepared, count, columns).png())
    print(f"{counted(min(count, len(prepared)), 'picture')} with captions on {arguments.file}")
    return 0


def _register_prepare(commands: Any) -> None:
    parser = add_command(
        commands, "prepare", prepare, "clean, resize and split captioned pictures",
        "synth train data prepare my_pictures --out prepared --size 256",
        "synth train data prepare oxford_flowers --captions-from text_c10 --out prepared",
        "synth train data prepare --params params.yaml --out prepared",
    )  # fmt: skip
    about = "a folder of captioned pictures, a hub data set (owner/name), or vignettes; may stand in params.yaml"
    parser.add_argument("pictures", nargs="?", metavar="SOURCE", help=about)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write; new or empty")
    about = "takes what is not given here from the section data of this YAML file"
    parser.add_argument("--params", type=Path, metavar="FILE", help=about)
    add_dataclass(parser, "what is made of them", Data)


def _register_show(commands: Any) -> None:
    parser = add_command(
        commands, "show", show, "print what a prepared set is made of, and why pictures were left out",
        "synth train data show prepared",
        "synth train data show prepared --model sd2-base     (captions in that model's tokens)",
    )  # fmt: skip
    _add_folder(parser)
    add_common(parser, "model")


def _register_sheet(commands: Any) -> None:
    parser = add_command(
        commands, "sheet", sheet, "draw pictures of a prepared set with their captions",
        "synth train data sheet prepared samples.png --count 48 --columns 8",
    )  # fmt: skip
    _add_folder(parser)
    parser.add_argument("file", type=Path, metavar="FILE.png", help="where to draw")
    parser.add_argument("--count", type=int, default=24, metavar="N", help="how many (default: 24)")
    parser.add_argument("--columns", type=int, default=6, metavar="N", help="pictures side by side (default: 6)")


def _add_folder(parser: Any) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what `synth train data prepare` wrote")
