"""How long a study will take, and the agreement that large ones need."""

from pathlib import Path
from statistics import median

from synth.errors import InputError, StudyError
from synth.journal import NAME, Journal
from synth.records.plans import Plan

MANY = 200  # pictures: more must be agreed to
ROUGH_SECONDS = 1.0 / (20 * 128 * 128)  # a step and pixel of the bundled model on two CPU cores


def check_amount(plan: Plan, root: Path, agreed: bool) -> None:
    """InputError where a plan comes to more than MANY pictures and nobody agreed; it says how many and how long."""
    if plan.pictures <= MANY or agreed:
        return
    measured = measured_seconds(root, plan.model.name)
    source = "as measured here before" if measured else "a rough guess: nothing was measured here yet"
    duration = in_words(plan.work * (measured or ROUGH_SECONDS))
    remedy = f"that is {plan.pictures:,} pictures and takes about {duration} ({source}): agree with --yes (yes=True)"
    raise InputError("pictures", plan.pictures, remedy)


def measured_seconds(root: Path, model: str) -> float | None:
    """Median seconds for a step and pixel over the finished pictures of that model under `root`; None without any."""
    rates: list[float] = []
    for path in root.glob(f"*/{NAME}"):
        try:
            with Journal(path.parent) as journal:
                rows = [row for row in journal.rows() if row["model"] == model and row["status"] == "done"]
        except StudyError:
            continue
        rates += [row["seconds"] / (row["steps"] * row["width"] * row["height"]) for row in rows]
    return median(rates) if rates else None


def in_words(seconds: float) -> str:
    """A duration for people.

    >>> in_words(50), in_words(7300), in_words(400_000)
    ('50 seconds', '2 hours', '5 days')
    """
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
