"""The command compare: sweeps of settings, and two studies or pictures side by side."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.cli.options import add_common, add_expansion, add_loras, add_settings, values
from synth.cli.parsing import add_command, counted
from synth.errors import InputError

if TYPE_CHECKING:
    from synth.compare.sweeps import Sweep

MOST_LISTED = 12


def register(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "compare", compare, "see which settings to use, or lay two studies or pictures over each other",
        'synth compare "a red lighthouse at sunset" --x guidance_scale=1,3,5 --y steps=5,10,20',
        'synth compare "a red lighthouse" --x "prompt_part=red | blue | old" --y seed --seeds 3',
        'synth compare --prompt "a boat by the sea" --x scheduler=ddim,euler --y steps=5:20:5 --pages eta=0,1',
        "synth compare lighthouses horses",
        "synth compare one.png other.png --to both.html",
    )  # fmt: skip
    parser.add_argument("what", nargs="*", metavar="PHRASE | A B", help="a phrase, or two studies or two PNGs")
    axis = "such as steps=5,10,20 or steps=10:50:10; any setting, size, speed, model, prompt_part, seed or prompt"
    parser.add_argument("--x", metavar="AXIS", help=f"what varies from left to right, {axis} (default: seed)")
    parser.add_argument("--y", metavar="AXIS", help="what varies down the page (default: the prompts, or seeds of one)")
    parser.add_argument("--pages", metavar="AXIS", help="what varies from page to page")
    parser.add_argument("--prompt", action="append", default=[], metavar="TEXT", help="your own; repeat for more")
    about = "what to measure, such as clip_prompt (`synth measure --help`); repeat for more (default: what applies)"
    parser.add_argument("--measure", action="append", default=[], metavar="NAME", help=about)
    parser.add_argument("--clip", metavar="MODEL", help="CLIP that measures: needed where the bundled one cannot tell")
    parser.add_argument("--to", type=Path, metavar="FILE", help="of two: the page (default: in the folder of studies)")
    text = "a folder of pictures that KID compares these with"
    parser.add_argument("--reference", type=Path, metavar="FOLDER", help=text)
    add_common(parser, "n", "seeds", "seed", "model", "expander", "out", "name")
    add_common(parser, "device", "dtype", "batch_size", "strict", "yes")
    add_loras(parser)
    add_settings(parser)
    add_expansion(parser)


def compare(arguments: Namespace) -> int:
    axes = {name: text for name in ("x", "y", "pages") if (text := getattr(arguments, name)) is not None}
    if len(arguments.what) > 2 or (len(arguments.what) == 2 and (axes or arguments.prompt)):
        raise InputError("compare", arguments.what, "give one phrase in quotes and axes, or two studies or pictures")
    if len(arguments.what) == 2:
        return _lay_over(*arguments.what, arguments)
    return _sweep(axes, arguments)


def _lay_over(a: str, b: str, arguments: Namespace) -> int:
    from synth.compare.pair_page import write_page
    from synth.compare.pairs import compare as find_pairs
    from synth.studies import ROOT, check_root

    root = arguments.out or ROOT
    found = find_pairs(a, b, root)
    path = write_page(found, arguments.to or check_root(root) / f"comparison-{found.key[:8]}.html")
    left_out = f", {len(found.left_out)} left out" if found.left_out else ""
    print(f"{counted(len(found.pairs), 'pair')}{left_out}. Look at {path}")
    return 0


def _sweep(axes: dict[str, str], arguments: Namespace) -> int:
    from synth.compare.sweeps import prepare
    from synth.layout.parameters import study_arguments

    [phrase] = arguments.what or [""]
    given = {"model": "vignettes", "name": None} | values(arguments)
    request = prepare(**study_arguments(phrase=phrase, prompts=arguments.prompt, **given), **axes)
    how = {"clip": arguments.clip, "reference": arguments.reference}
    request.check_measures(arguments.measure, **how)
    todo = f"{request.left:,} to render: {request.about}" if request.left else "all of them there already"
    print(f"{counted(request.plan.pictures, 'picture')}, {todo}", flush=True)
    made = request.run()
    _tell(made, made.measure(arguments.measure, **how, device=arguments.device or "auto"))
    return 1 if made.study.counts["failed"] else 0


def _tell(made: "Sweep", measures: list[str]) -> None:
    """Write what there is to look at, and say what was found and where."""
    from synth.compare.findings import figures, verdict
    from synth.compare.grids import write_figure, write_grids

    paths = write_grids(made)
    for name in measures:
        paths += [write_figure(made, figure, f"{name}-{kind}") for kind, figure in figures(made, name).items()]
        if made.varied and (said := verdict(made, name)):
            print(said)
    counts = made.study.counts
    failed = f", {counts['failed']} failed (`synth log {made.study.folder}` says why)" if counts["failed"] else ""
    print(f"{counted(counts['done'], 'picture')}{failed}. Look at {paths[0].parent}:")
    print("\n".join(f"  {path.name}" for path in paths[:MOST_LISTED]))
    if len(paths) > MOST_LISTED:
        print(f"  and {len(paths) - MOST_LISTED} more")
