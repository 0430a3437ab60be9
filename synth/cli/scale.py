"""What several commands know of many workers: --engine and where it runs, --store, and --plan."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from synth.cli.parsing import counted, table
from synth.errors import InputError

if TYPE_CHECKING:
    from synth.records.plans import Plan
    from synth.scale.crews import Crew
    from synth.studies import Engine


def add_engine(parser: Any) -> None:
    """Add --engine, --workers and --address."""
    group = parser.add_argument_group("many workers")
    group.add_argument("--engine", metavar="NAME", help="processes (of this machine), or ray (a cluster)")
    group.add_argument("--workers", metavar="N", help="how many (default: one for each GPU, else for each machine)")
    group.add_argument("--address", metavar="HOST:PORT", help="of a Ray cluster (default: a small one of its own)")


def add_forecast(parser: Any) -> None:
    """Add --store, --plan and --price."""
    group = parser.add_argument_group("large studies")
    group.add_argument("--store", metavar="URL", help="workers write there: file:///shared/folder, s3://bucket/folder")
    group.add_argument("--plan", action="store_true", help="tell count, operations, hours and cost, and run nothing")
    group.add_argument("--price", metavar="X", help="of a device-hour, for --plan")


def crew_of(arguments: Namespace) -> "Crew | None":
    """The workers that were asked for, or None; InputError for workers of no engine."""
    from synth.scale.crews import crew

    if arguments.engine is None:
        for name in ("workers", "address"):
            if getattr(arguments, name) is not None:
                raise InputError(name, getattr(arguments, name), "give --engine too")
        return None
    device = getattr(arguments, "device", None) or "auto"
    return crew(arguments.engine, workers=_number(arguments, "workers", int), device=device, address=arguments.address)


def engine_of(arguments: Namespace) -> "Engine | None":
    """What renders a study in the place of this process, if --engine says so."""
    from synth.scale.crews import engine

    workers = crew_of(arguments)
    return engine(workers) if workers else None


def tell_forecast(arguments: Namespace, given: dict[str, Any]) -> int:
    """Print what a study of these arguments would take."""
    from synth.scale.forecasts import forecast
    from synth.studies import ROOT

    workers, price = _number(arguments, "workers", int) or 1, _number(arguments, "price", float)
    found = forecast(
        _plan(given), given.get("out", ROOT), workers=workers, price=price, device=given.get("device", "auto")
    )
    print(table(("what", "how much"), found.lines()))
    return 0


def run_into_store(arguments: Namespace, given: dict[str, Any]) -> int:
    """Render a study into a store, by processes unless another engine is asked for."""
    from synth.scale.storing import store_study

    arguments.engine = arguments.engine or "processes"
    stored = store_study(arguments.store, crew_of(arguments), **given)
    failed = f", {stored.failed} failed" if stored.failed else ""
    left = f", {stored.left} left (run the same again)" if stored.left else ""
    read = f"synth log {stored.study.folder} --store {stored.url}"
    print(f"{counted(stored.done, 'picture')}{failed}{left} in {stored.url}. Their log: {read}")
    return 1 if stored.failed or stored.left else 0


def _plan(given: dict[str, Any]) -> "Plan":
    import inspect

    from synth.records.plans import make_plan
    from synth.records.sources import drawn_over

    pictures = drawn_over(given.get("source"), given.get("mask"), given["settings"])
    known = {name: given[name] for name in inspect.signature(make_plan).parameters if name in given}
    return make_plan(**known | {"source": "", "mask": ""} | dict(zip(("source", "mask"), pictures, strict=False)))


def _number(arguments: Namespace, name: str, kind: type) -> Any:
    text = getattr(arguments, name)
    try:
        return None if text is None else kind(text)
    except ValueError:
        raise InputError(name, text, "give a number" if kind is float else "give a whole number") from None
