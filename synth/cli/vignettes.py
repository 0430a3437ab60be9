"""Commands around the picture world and the bundled models: vignettes."""

import random
from argparse import Namespace
from pathlib import Path
from typing import Any

from synth.cli.options import add_common
from synth.cli.parsing import add_command
from synth.errors import InputError
from synth.jobs import MAX_SEED, check_whole

SPLITS = ("train", "held-out")
SHEETS = (".png", ".jpg", ".webp")


def register(commands: Any) -> None:
    """Add the commands."""
    parser = add_command(
        commands, "vignettes", None, "draw the picture world, or measure the models that learned it",
        "synth vignettes sheet sheet.png",
        "synth vignettes dataset scenes --count 1000",
        "synth vignettes showcase showcase.png",
        "synth vignettes evaluate",
    )  # fmt: skip
    actions = parser.add_subparsers(metavar="sheet | dataset | showcase | evaluate", required=True)
    _register_sheet(actions)
    _register_dataset(actions)
    _register_showcase(actions)
    _register_evaluate(actions)


def sheet(arguments: Namespace) -> int:
    from synth.vignettes.captions import caption
    from synth.vignettes.dataset import picture_seed, scene_at
    from synth.vignettes.sheet import contact_sheet
    from synth.vignettes.world import draw

    _check_drawing(arguments)
    check_whole("columns", arguments.columns, 1, 100)
    _check_picture(arguments.file)
    split, places = arguments.split, range(arguments.seed, arguments.seed + arguments.count)
    pictures = [draw(scene_at(split, place), picture_seed(split, place), arguments.size) for place in places]
    captions = [caption(scene_at(split, place), random.Random(place)) for place in places]
    contact_sheet(pictures, captions, min(arguments.columns, len(pictures))).save(arguments.file)
    print(f"{len(pictures)} vignettes are on {arguments.file}")
    return 0


def dataset(arguments: Namespace) -> int:
    from tqdm import tqdm

    from synth.vignettes.dataset import write_image_folder

    _check_drawing(arguments)
    how = {name: getattr(arguments, name) for name in ("size", "split", "seed")}
    written = write_image_folder(arguments.folder, arguments.count, **how)
    for _ in tqdm(written, total=arguments.count, unit=" vignettes"):
        pass
    print(f"{arguments.count} vignettes and metadata.jsonl are in {arguments.folder}")
    return 0


def showcase(arguments: Namespace) -> int:
    from synth.presets import advised
    from synth.vignettes.showcase import attribute_sheet

    check_whole("seed", arguments.seed, 0, MAX_SEED)
    _check_picture(arguments.file)
    model = arguments.model or "vignettes"
    attribute_sheet(model, advised(model), seed=arguments.seed, device=arguments.device or "auto").save(arguments.file)
    print(f"every value of every attribute, as {model} draws it, is on {arguments.file}")
    return 0


def evaluate(arguments: Namespace) -> int:
    from synth.vignettes.examination import examine

    if arguments.count is not None:
        check_whole("count", arguments.count, 1, 600)
    how = {name: getattr(arguments, name) for name in ("model", "expander", "device", "count", "failures")}
    print(examine(**{name: value for name, value in how.items() if value is not None}).table())
    return 0


def _check_drawing(arguments: Namespace) -> None:
    check_whole("count", arguments.count, 1, 10_000_000)
    check_whole("size", arguments.size, 64, 1024)
    check_whole("seed", arguments.seed, 0, MAX_SEED)


def _check_picture(file: Path) -> None:
    if file.suffix.lower() not in SHEETS:
        raise InputError("file", str(file), f"give it an ending of a picture: {', '.join(SHEETS)}")


def _register_sheet(actions: Any) -> None:
    parser = add_command(
        actions, "sheet", sheet, "draw a contact sheet of scenes with their captions",
        "synth vignettes sheet sheet.png --count 24 --columns 6",
    )  # fmt: skip
    default = "vignettes.png"
    parser.add_argument("file", nargs="?", type=Path, default=default, metavar="FILE", help=f"default: {default}")
    _add_drawing(parser, count=48)
    parser.add_argument("--columns", type=int, default=8, metavar="N", help="pictures side by side (default: 8)")


def _register_dataset(actions: Any) -> None:
    parser = add_command(
        actions, "dataset", dataset, "write scenes as an image folder: PNG files and metadata.jsonl with captions",
        "synth vignettes dataset scenes --count 1000 --size 256",
    )  # fmt: skip
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to write")
    _add_drawing(parser, count=1000)


def _register_showcase(actions: Any) -> None:
    parser = add_command(
        actions, "showcase", showcase, "let the model draw every value of every attribute, all else being equal",
        "synth vignettes showcase showcase.png --seed 3",
    )  # fmt: skip
    default = "showcase.png"
    parser.add_argument("file", nargs="?", type=Path, default=default, metavar="FILE", help=f"default: {default}")
    add_common(parser, "model", "device")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise (default: 0)")


def _register_evaluate(actions: Any) -> None:
    parser = add_command(
        actions, "evaluate", evaluate, "measure the bundled models on what they never saw, and print the table",
        "synth vignettes evaluate",
        "synth vignettes evaluate --count 50 --failures wrong.png",
    )  # fmt: skip
    add_common(parser, "model", "expander", "device")
    parser.add_argument("--count", type=int, metavar="N", help="only the first so many of the 600 captions and phrases")
    parser.add_argument("--failures", type=Path, metavar="FILE", help="draw a sheet of wrong pictures there")


def _add_drawing(parser: Any, *, count: int) -> None:
    parser.add_argument("--count", type=int, default=count, metavar="N", help=f"how many (default: {count})")
    parser.add_argument("--size", type=int, default=128, metavar="PIXELS", help="of a side, 64 to 1024 (default: 128)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the first one's number (default: 0)")
    parser.add_argument("--split", choices=SPLITS, default="train", help="which scenes (default: train)")
