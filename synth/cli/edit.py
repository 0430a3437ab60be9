"""Commands that work on pictures: edit paint, upscale, post, compare, replay."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from synth.cli.options import add_common, add_loras, add_settings, values
from synth.cli.parsing import add_command, counted
from synth.errors import InputError

ACTIONS = ("paint", "upscale", "post", "compare", "replay")
STUDY = ("seeds", "seed", "model", "out", "name", "device", "dtype", "batch_size", "strict", "yes")


def register(commands: Any) -> None:
    """Add the commands."""
    parser = add_command(
        commands, "edit", None, "draw over pictures, enlarge or retouch them, compare two wordings of a prompt",
        'synth edit paint photo.png "a red house in the snow" --strength 0.5',
        'synth edit photo.png "a red house" --mask roof.png     (paint may be left out before a picture)',
        "synth edit upscale lighthouses --scale 4",
        'synth edit post photo.png --postprocess "sharpen=0.5 contrast=1.1"',
        'synth edit compare "a red house" "a blue house"',
    )  # fmt: skip
    actions = parser.add_subparsers(metavar=" | ".join(ACTIONS), required=True)
    _register_paint(actions)
    _register_upscale(actions)
    _register_post(actions)
    _register_compare(actions)
    _register_replay(actions)


def paint(arguments: Namespace) -> int:
    from synth.edit.painting import before_after_path
    from synth.edit.painting import paint as draw_over

    fit = not {"width", "height"} & values(arguments).keys()
    painted = draw_over(arguments.picture, mask=arguments.mask, fit=fit, **_study(arguments))
    return _told(painted, before_after_path(painted))


def compare(arguments: Namespace) -> int:
    from synth.edit.wording import FIGURE, PAGE, compare_wordings

    how = _study(arguments)
    made = compare_wordings(*how.pop("prompts"), **how)
    return _told(made, made.folder / FIGURE, made.folder / PAGE)


def upscale(arguments: Namespace) -> int:
    from synth.edit.finishing import BUNDLED, upscaling

    step = upscaling(_scale(arguments.scale), arguments.model or BUNDLED)
    figures = _beside if arguments.beside else None
    return _finish(arguments, step, figures)


def post(arguments: Namespace) -> int:
    from synth.edit.finishing import retouching

    return _finish(arguments, retouching(arguments.postprocess))


def replay(arguments: Namespace) -> int:
    from synth.edit.finishing import replay as again

    how = {"device": arguments.device or "auto", "yes": bool(arguments.yes)}
    done = again(arguments.picture, arguments.source, **how, progress=True)
    print(done)
    return 0 if done.equal else 1


def _finish(arguments: Namespace, step: Any, figures: Callable[[list[Path], list[Path]], None] | None = None) -> int:
    """Do a step to pictures, and to those of studies; `figures(before, after)` may then draw some."""
    from synth.edit.finishing import finish_files

    device, written = getattr(arguments, "device", None) or "auto", []
    for pictures, out in _chosen(arguments.pictures, arguments.out and Path(arguments.out)):
        made = finish_files(pictures, step, out, device=device)
        if figures:
            figures(pictures, made)
        written += made
    folders = dict.fromkeys(str(path.parent) for path in written)
    print(f"{counted(len(written), 'picture')}. Look at {written[0] if len(written) == 1 else ', '.join(folders)}")
    return 0


def _beside(before: list[Path], after: list[Path]) -> None:
    """Write a figure of each enlargement beside it, as <name>-beside.png."""
    from synth.edit.figures import enlargement
    from synth.edit.provenance import read
    from synth.records.files import write_atomically

    for small, large in zip(before, after, strict=True):
        figure = enlargement(read(small), read(large))
        write_atomically(large.with_name(f"{large.stem}-beside.png"), figure.png())


def _chosen(items: list[str], out: Path | None) -> list[tuple[list[Path], Path | None]]:
    """Pictures and where they go, those of each study by themselves: a folder, or a word without an ending, is one."""
    from synth.edit.finishing import FOLDER
    from synth.studies import ROOT, Study

    files = [Path(item) for item in items if Path(item).suffix and not _is_folder(item, ROOT) or Path(item).is_file()]
    studies = [Study.open(item) for item in items if Path(item) not in files]
    found = [(files, out)] if files else []
    return found + [(_pictures_of(study), out or study.folder / FOLDER) for study in studies]


def _is_folder(item: str, root: str) -> bool:
    return Path(item).is_dir() or Path(root, item).is_dir()


def _pictures_of(study: Any) -> list[Path]:
    """The files of a study's finished pictures. StudyError where there is none."""
    from synth.measure.sight import finished  # here, because torch takes seconds

    return [study.folder / path for path in finished(study)["path"]]


def _study(arguments: Namespace) -> dict[str, Any]:
    """What `synth.study` is called with, for people's own prompts."""
    from synth.layout.parameters import study_arguments

    given = {"model": "vignettes", "name": None} | values(arguments)
    given.pop("mask", None)
    how = study_arguments(phrase="", prompts=arguments.prompts, **given)
    return {name: value for name, value in how.items() if name != "phrase"}


def _told(made: Any, *files: Path) -> int:
    """Say where to look, and return the exit code."""
    counts = made.counts
    failed = f", {counts['failed']} failed (`synth log {made.folder}` says why)" if counts["failed"] else ""
    print(f"{counted(counts['done'], 'picture')}{failed}. Look at {' and '.join(map(str, files))}")
    return 1 if counts["failed"] else 0


def _scale(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError("scale", text, "use 2 or 4") from None


def _register_paint(actions: Any) -> None:
    parser = add_command(
        actions, "paint", paint, "draw over a picture as prompts say: all of it, or where a mask is white",
        'synth edit paint photo.png "a red house in the snow" --strength 0.5 --seeds 3',
        'synth edit paint photo.png "a blue roof" --mask roof.png',
    )  # fmt: skip
    parser.add_argument("picture", metavar="PICTURE", help="PNG, JPEG, WebP, GIF, BMP or TIFF")
    parser.add_argument("prompts", nargs="+", metavar="PROMPT", help="what to draw; several in quotes")
    add_common(parser, "mask", *STUDY)
    add_loras(parser)
    add_settings(parser)


def _register_compare(actions: Any) -> None:
    parser = add_command(
        actions, "compare", compare, "render two wordings of a prompt from the same noise, and show where they differ",
        'synth edit compare "a red house" "a blue house" --seeds 4',
    )  # fmt: skip
    parser.add_argument("prompts", nargs=2, metavar="PROMPT", help="in quotes")
    add_common(parser, *STUDY)
    add_loras(parser)
    add_settings(parser)


def _register_upscale(actions: Any) -> None:
    parser = add_command(
        actions, "upscale", upscale, "enlarge pictures, or all of a study's",
        "synth edit upscale lighthouse.png --scale 4",
        "synth edit upscale lighthouses --model swin2sr-x2",
    )  # fmt: skip
    _add_pictures(parser)
    parser.add_argument("--scale", default="2", metavar="N", help="2 or 4 (default: 2)")
    known = "vignettes-upscaler (default), swin2sr-x2, swin2sr-x4, sd-x4-upscaler, a hub id or a folder"
    parser.add_argument("--model", metavar="MODEL", help=known)
    figure = "also write a figure of each beside bicubic interpolation: <name>-beside.png"
    parser.add_argument("--beside", action="store_true", help=figure)
    add_common(parser, "device")


def _register_post(actions: Any) -> None:
    parser = add_command(
        actions, "post", post, "sharpen, smooth or recolour pictures, or all of a study's",
        'synth edit post photo.png --postprocess "sharpen=0.5 contrast=1.1"',
        'synth edit post lighthouses --postprocess "balance=1.1/1/0.9"',
    )  # fmt: skip
    _add_pictures(parser)
    steps = "sharpen, denoise, brightness, contrast, saturation, balance; in the order in which they are done"
    parser.add_argument("--postprocess", required=True, metavar="STEPS", help=steps)


def _register_replay(actions: Any) -> None:
    parser = add_command(
        actions, "replay", replay, "do again to its source what an edited picture says was done, and compare",
        "synth edit replay edited/lighthouse-x2.png lighthouse.png",
    )  # fmt: skip
    parser.add_argument("picture", metavar="PICTURE", help="a PNG that `synth edit upscale` or `post` wrote")
    parser.add_argument("source", metavar="SOURCE", help="the picture that it was made of")
    add_common(parser, "device")
    agree = "agree to fetch the model that the picture names, if it is neither a preset nor on this machine"
    parser.add_argument("--yes", action="store_true", help=agree)


def _add_pictures(parser: Any) -> None:
    parser.add_argument("pictures", nargs="+", metavar="PICTURE | STUDY", help="files, or names of studies")
    place = "where to write (default: a folder `edited` beside each picture, or in the study's)"
    parser.add_argument("--out", metavar="FOLDER", help=place)
