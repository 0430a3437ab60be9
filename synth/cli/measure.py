"""Commands around how good pictures are: measure, votes."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.cli.options import add_common, open_study
from synth.cli.parsing import add_command, shortened, table
from synth.cli.reports import add_study
from synth.layout.parameters import Parameter

if TYPE_CHECKING:
    import pandas

    from synth.studies import Study

MEASURES = (
    "clip_phrase", "clip_prompt", "attributes_phrase", "attributes_prompt", "sharpness", "colourfulness",
    "near_duplicates", "vendi_pictures", "vendi_prompts", "distinct_1", "distinct_2", "self_bleu", "kid",
)  # fmt: skip
VOTES = ("page", "merge")
MOST_FIGURES = 20  # of ranks, one for each phrase


def register(commands: Any) -> None:
    """Add the commands."""
    parser = add_command(
        commands, "measure", measure, "measure a study's pictures and prompts, and add the measures to its log",
        "synth measure lighthouses",
        "synth measure lighthouses --measures clip_prompt,vendi_pictures --clip openai/clip-vit-base-patch32",
        "synth measure lighthouses --reference photos/",
    )  # fmt: skip
    add_study(parser)
    about = f"some of {', '.join(MEASURES)} (default: all that apply)"
    parser.add_argument("--measures", metavar="NAME,NAME", help=about)
    about = "preset, hub id or folder (default: vignettes-clip, which knows the bundled world alone)"
    parser.add_argument("--clip", metavar="MODEL", default="vignettes-clip", help=about)
    parser.add_argument("--reference", type=Path, metavar="FOLDER", help="of pictures that KID compares these with")
    add_common(parser, "device")
    _register_votes(commands)


def _register_votes(commands: Any) -> None:
    parser = add_command(
        commands, "votes", None, "have people compare a study's pictures, two at a time",
        "synth votes page lighthouses",
        "synth votes merge lighthouses votes/*.json",
    )  # fmt: skip
    actions = parser.add_subparsers(metavar=" | ".join(VOTES), required=True)
    page = add_command(
        actions, "page", write_page, "write an HTML file on which people vote, offline, and save their votes as a file",
        "synth votes page lighthouses --pairs 20",
    )  # fmt: skip
    add_study(page)
    page.add_argument("--pairs", metavar="N", default="30", help="how many each voter is asked about (default: 30)")
    page.add_argument("--pictures", metavar="N", help="how many of the pictures, drawn by lot (default: all)")
    page.add_argument("--seed", metavar="N", default="0", help="of what is drawn by lot (default: 0)")
    page.add_argument("--page", type=Path, metavar="FILE", help="where to (default: votes.html in the study's folder)")
    merge = add_command(
        actions, "merge", merge_votes, "rank a study's pictures by people's votes, and add that to its log",
        "synth votes merge lighthouses votes/*.json",
    )  # fmt: skip
    add_study(merge)
    about = "all vote files that count, or folders of them; they take the place of those merged before"
    merge.add_argument("files", nargs="+", type=Path, metavar="FILE", help=about)


def measure(arguments: Namespace) -> int:
    from synth.measure.figures import distributions
    from synth.measure.studies import measure as measure_study
    from synth.measure.studies import summary

    study = open_study(arguments)
    names = [name.strip() for name in (arguments.measures or "").split(",") if name.strip()]
    how = {} if arguments.device is None else {"device": arguments.device}
    frame = measure_study(study, names, clip=arguments.clip, reference=arguments.reference, **how)
    print(_figures(summary(frame)))
    _save(study, "measures", distributions(frame))
    return 0


def write_page(arguments: Namespace) -> int:
    from synth.measure.voting_page import write_page as write

    numbers = {name: _whole(name, getattr(arguments, name)) for name in ("pairs", "pictures", "seed")}
    path = write(open_study(arguments), arguments.page, **numbers)
    print(f"Give this file to everybody who votes, and collect the files that they save: {path}")
    return 0


def merge_votes(arguments: Namespace) -> int:
    from synth.measure.agreement import agreement
    from synth.measure.vote_figures import agreements, ranks, voted_phrases
    from synth.measure.votes import merge

    study = open_study(arguments)
    frame = merge(study, arguments.files)
    print(_ranking(frame))
    for number, phrase in enumerate(voted_phrases(frame)[:MOST_FIGURES], start=1):
        _save(study, f"ranks-{number}", ranks(study, phrase))
    compared = agreement(frame)
    if compared.empty:
        print("To see which measures agree with people, run `synth measure` too.")
    else:
        rows = [(row.measure, f"{row.rho:.2f}", f"{row.low:.2f} to {row.high:.2f}") for row in compared.itertuples()]
        print(table(("measure", "rank correlation with the votes", "95% interval"), rows))
        _save(study, "agreement", agreements(frame))
    return 0


def _figures(summary: "pandas.DataFrame") -> str:
    rows = [
        (
            row.measure, f"{row.mean:.4g}",
            "" if row.low != row.low else f"{row.low:.4g} to {row.high:.4g}", row.pictures, shortened(row.model, 100),
        )
        for row in summary.itertuples()
    ]  # fmt: skip
    return table(("measure", "mean", "95% interval", "pictures", "measured by"), rows)


def _ranking(frame: "pandas.DataFrame") -> str:
    """The best ten pictures that were voted on, those of one phrase together."""
    voted = frame.dropna(subset=["bt_rank"]).sort_values(["phrase", "bt_rank"]).head(10)
    rows = [
        (
            f"{row.bt_rank:.0f}",
            f"{row.bt_score:.2f}",
            f"{row.bt_low:.2f} to {row.bt_high:.2f}",
            f"{row.votes:.0f}",
            row.path,
        )
        for row in voted.itertuples()
    ]
    return table(("rank", "score", "95% interval", "votes", "picture"), rows)


def _save(study: "Study", name: str, figure: Any) -> None:
    from synth.records.outputs import save

    print(f"Look at {save(study.folder, name, figure)}")


def _whole(name: str, text: str | None) -> int | None:
    return None if text is None else Parameter(name, "int", False, False, None).parse(text)
