"""The command that turns notebooks and reports into slides."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from synth.cli.parsing import add_command, counted


def register(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "slides", slides, "turn an executed notebook or report into slides that open offline",
        "synth slides generated_images/lighthouses/report.ipynb",
        'synth slides executed.ipynb --out lesson.html --title "How diffusion works"',
    )  # fmt: skip
    parser.add_argument("notebook", type=Path, metavar="NOTEBOOK", help="an .ipynb with its outputs")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the slides (default: beside it, as .slides.html)")
    parser.add_argument("--title", metavar="TEXT", help="of the first slide (default: the notebook's first heading)")


def slides(arguments: Namespace) -> int:
    from synth.layout.slides import to_slides

    out = arguments.out or arguments.notebook.with_suffix(".slides.html")
    count = to_slides(arguments.notebook, out, title=arguments.title)
    print(f"{counted(count, 'slide')}. Open {out} (arrow keys; f for the whole screen)")
    return 0
