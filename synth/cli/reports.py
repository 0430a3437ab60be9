"""Commands around studies: report, batch, study, log."""

import shlex
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.cli.options import add_common, add_expansion, add_loras, add_settings, open_study, values
from synth.cli.parsing import add_command, counted, shortened, table
from synth.cli.scale import add_engine, add_forecast, crew_of, engine_of, run_into_store, tell_forecast
from synth.errors import InputError

if TYPE_CHECKING:
    import pandas

    from synth.studies import Study


def register(commands: Any) -> None:
    """Add the commands."""
    _register_report(commands)
    _register_notebook(commands)
    _register_batch(commands)
    _register_study(commands)
    _register_log(commands)


def report(arguments: Namespace) -> int:
    from synth.reporting import report as make_report

    typed = {} if arguments.phrase is None else {"phrase": arguments.phrase}
    made = make_report(**_with_parameters(arguments, typed | values(arguments)))
    failed = f", {made.failed} failed" if made.failed else ""
    print(f"{counted(made.pictures, 'picture')}{failed}, {made.seconds:.0f} seconds. Look at {made.html}")
    return 1 if made.failed else 0


def notebook(arguments: Namespace) -> int:
    from synth.execution import heading, notebooks
    from synth.reporting import report as make_report

    if arguments.notebook is None:
        print(table(("notebook", "what it shows"), ((name, heading(path)) for name, path in notebooks().items())))
        return 0
    given = _with_parameters(arguments, values(arguments), arguments.notebook)
    made = make_report(given.pop("phrase", None), notebook=arguments.notebook, **given)
    print(f"{made.seconds:.0f} seconds. Look at {made.html}")
    return 1 if made.failed else 0


def batch(arguments: Namespace) -> int:
    from synth.batches import batch as run_batch

    chosen = {} if arguments.notebook is None else {"notebook": arguments.notebook}
    if workers := crew_of(arguments):
        chosen["scatter"] = workers.scatter
    ran = run_batch(arguments.file, **chosen, **_with_parameters(arguments, values(arguments), arguments.notebook))
    for outcome in ran.outcomes:
        if outcome.error:
            print(f"row {outcome.row}, {outcome.status}: {outcome.error}")
    print(f"{len(ran.outcomes) - ran.failed} of {len(ran.outcomes)} reports are done. Look at {ran.index}")
    return 1 if ran.failed else 0


def run_study(arguments: Namespace) -> int:
    from synth.layout.parameters import study_arguments
    from synth.studies import study

    given = {"model": "vignettes", "name": None} | values(arguments)
    given = study_arguments(phrase=arguments.phrase, prompts=[], **given)
    if arguments.plan:
        return tell_forecast(arguments, given)
    if arguments.store:
        return run_into_store(arguments, given)
    return finish(study(**given, engine=engine_of(arguments)))


def finish(made: "Study") -> int:
    """Draw the grid of a study that ran, say where it is, and return the exit code."""
    made.grid()
    counts = made.counts
    failed = f", {counts['failed']} failed (`synth log {made.folder}` says why)" if counts["failed"] else ""
    print(f"{counted(counts['done'], 'picture')}{failed}. Look at {made.folder / 'grid.png'}")
    return 1 if counts["failed"] else 0


def list_studies(arguments: Namespace) -> int:
    from synth.studies import ROOT
    from synth.studies import list_studies as found_in

    root = Path(arguments.out or ROOT)
    rows = [
        (
            found.name, found.done, found.failed, found.left,
            f"{found.created:%Y-%m-%d %H:%M}" if found.created else "",
            shortened(found.problem or found.phrase),
        )
        for found in found_in(root)
    ]  # fmt: skip
    head = ("study", "done", "failed", "left", "created (UTC)", "phrase")
    print(table(head, rows) if rows else f"There is no study in {root} yet.")
    for folder in sorted(path.parent for path in root.glob("*/index.html")):
        print(f"The studies of the batch {folder.name}: synth study list --out {shlex.quote(str(folder))}")
    return 0


def show_study(arguments: Namespace) -> int:
    found = open_study(arguments)
    print(found.folder)
    print(", ".join(f"{number} {name}" for name, number in found.counts.items()))
    plan = found.plan
    seeds = shortened(", ".join(map(str, plan.seeds)))
    settings = {"model": plan.model.name, "seeds": seeds} | asdict(plan.settings)
    if plan.expander is not None:
        settings |= {"expander": plan.expander.name} | asdict(plan.expansion)
    print(
        table(("setting", "value"), ((name, str(value) or "none") for name, value in settings.items() if value != ()))
    )
    print("\n".join(f"{number}  {prompt.text}" for number, prompt in enumerate(found.expansion, start=1)))
    return 0


def delete_study(arguments: Namespace) -> int:
    from synth.studies import ROOT
    from synth.studies import delete_study as delete

    delete(arguments.study, arguments.out or ROOT)
    print(f"{arguments.study} is deleted.")
    return 0


def log(arguments: Namespace) -> int:
    frame = _frame(arguments)
    writers = {"csv": _write_csv, "json": _write_json, "parquet": _write_parquet}
    wanted = {name: path for name in writers if (path := getattr(arguments, name))}
    for name, path in wanted.items():
        try:
            writers[name](frame, path)
        except OSError as error:
            raise InputError(name, str(path), f"give a file that can be written ({error.strerror or error})") from None
        print(f"{counted(len(frame), 'row')} in {path}")
    if not wanted:
        cells = [
            (
                row.prompt_index + 1,
                row.seed,
                row.status,
                f"{row.seconds:.2f}",
                row.path,
                shortened(row.error or row.prompt),
            )
            for row in frame.itertuples()
        ]
        print(table(("prompt", "seed", "status", "seconds", "path", "prompt, or what went wrong"), cells))
    return 0


def _frame(arguments: Namespace) -> "pandas.DataFrame":
    if arguments.store is None:
        return open_study(arguments).frame()
    from synth.scale.storing import gather

    return gather(open_study(arguments), arguments.store)


def _register_report(commands: Any) -> None:
    parser = add_command(
        commands, "report", report, "expand a phrase, render it, and leave a report of it to look at",
        'synth report "a red lighthouse at sunset"',
        'synth report "an astronaut riding a green horse" --model sdxl --seeds 2',
        'synth report "1984" -p diversity=0.9 -p banned_words=\'["war", "book"]\'',
    )  # fmt: skip
    parser.add_argument("phrase", nargs="?", metavar="PHRASE", help="what to draw; may be left out with -p prompts=...")
    _add_parameters(parser)
    add_common(parser, "n", "seeds", "seed", "model", "expander", "out", "name", "device", "strict", "yes")
    add_common(parser, "source", "mask")
    add_loras(parser)
    add_settings(parser)
    add_expansion(parser)


def _register_notebook(commands: Any) -> None:
    parser = add_command(
        commands, "notebook", notebook, "execute one of the notebooks with parameters, and leave its page",
        "synth notebook                          (lists them)",
        'synth notebook 3_why_this_picture -p phrase="a blue horse in the snow"',
    )  # fmt: skip
    parser.add_argument("notebook", nargs="?", metavar="NOTEBOOK", help="its name, or the number that it begins with")
    _add_parameters(parser)
    add_common(parser, "out", "name")


def _register_batch(commands: Any) -> None:
    parser = add_command(
        commands, "batch", batch, "make a report for each row of a CSV or YAML table, and a page that lists them",
        "synth batch phrases.csv",
        "synth batch phrases.yaml -p seeds=2",
        "synth batch phrases.csv --engine processes --workers 2",
    )  # fmt: skip
    parser.add_argument("file", metavar="FILE", help="a row is a set of a report's parameters: phrase, n, steps, ...")
    parser.add_argument("--notebook", metavar="NOTEBOOK", help="for rows that name none (default: the main one)")
    _add_parameters(parser)
    add_common(parser, "out")
    add_engine(parser)


def _register_study(commands: Any) -> None:
    parser = add_command(
        commands, "study", None, "run a study without a report; list, show or delete studies",
        'synth study run "a red lighthouse at sunset"',
        'synth study "a red lighthouse at sunset"     (run may be left out before several words)',
        "synth study list",
        "synth study show a-red-lighthouse-at-sunset-1a2b3c4d",
    )  # fmt: skip
    actions = parser.add_subparsers(metavar="run | list | show | delete", required=True)
    run = add_command(
        actions, "run", run_study, "expand a phrase and render it, or go on where that stopped",
        'synth study run "a red lighthouse at sunset" --n 8 --name lighthouses',
        'synth study run "a red lighthouse" --n 1000 --seeds 1000 --plan --price 2.5',
        'synth study run "a red lighthouse" --n 1000 --seeds 1000 --yes --engine ray --address auto --store s3://mine/red',
    )  # fmt: skip
    run.add_argument("phrase", metavar="PHRASE", help="what to draw")
    add_common(run, "n", "seeds", "seed", "model", "expander", "out", "name")
    add_common(run, "device", "dtype", "batch_size", "strict", "source", "mask", "yes")
    add_engine(run)
    add_forecast(run)
    add_loras(run)
    add_settings(run)
    add_expansion(run)
    listing = add_command(actions, "list", list_studies, "list the studies that there are", "synth study list")
    add_common(listing, "out")
    for name, function, about in (
        ("show", show_study, "show what a study is made of"),
        ("delete", delete_study, "delete a study, pictures and all"),
    ):
        add_study(add_command(actions, name, function, about, f"synth study {name} lighthouses"))


def _register_log(commands: Any) -> None:
    parser = add_command(
        commands, "log", log, "print the rows of a study's pictures, or write them to a file",
        "synth log lighthouses",
        "synth log lighthouses --csv rows.csv --parquet rows.parquet",
    )  # fmt: skip
    add_study(parser)
    for name in ("csv", "json", "parquet"):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write every column to a {name} file instead")
    parser.add_argument("--store", metavar="URL", help="where the workers of a large study wrote its pictures")


def add_study(parser: Any) -> None:
    """Add the argument that names a study, and --out."""
    parser.add_argument("study", metavar="STUDY", help="the name of its folder (see `synth study list`), or a path")
    add_common(parser, "out")


def _add_parameters(parser: Any) -> None:
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE",
        help="a parameter of the notebook by its name there; lists as JSON; repeat for more",
    )  # fmt: skip


def _with_parameters(arguments: Namespace, typed: dict[str, Any], notebook: str | None = None) -> dict[str, Any]:
    """What was given as options, and with -p, for a notebook (the main one)."""
    from synth.layout.parameters import declared, parse_parameters
    from synth.reporting import MAIN, notebook_path

    pairs = dict(map(_pair, arguments.parameter))
    for name in typed.keys() & pairs.keys():
        raise InputError(name, pairs[name], "give it as an option or with -p, not both")
    return typed | parse_parameters(pairs, declared(notebook_path(notebook or MAIN)))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError("parameter", text, "give it as name=value")
    return name.strip(), value


def _write_csv(frame: "pandas.DataFrame", path: Path) -> None:
    from synth.records.rows import to_csv

    path.write_bytes(to_csv(frame))


def _write_json(frame: "pandas.DataFrame", path: Path) -> None:
    frame.to_json(path, orient="records", indent=1, force_ascii=False, date_format="iso")


def _write_parquet(frame: "pandas.DataFrame", path: Path) -> None:
    frame.to_parquet(path, index=False)
