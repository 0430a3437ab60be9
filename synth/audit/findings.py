"""Findings: what groups show against a baseline, each with its test, all of them corrected together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from synth.audit.sightings import STAGES, counted, world
from synth.audit.statistics import Difference, difference, enough_shuffles
from synth.measure.intervals import holm, wilson
from synth.vignettes.attributes import ATTRIBUTES

ALPHA = 0.05  # of any false alarm among all tests of an audit
EVERYTHING = "all phrases"
TEXTS = ("stage", "group", "attribute", "value", "favourite")  # columns of the tables


@dataclass(frozen=True)
class Finding:
    """How the values of an attribute are distributed in a group, and in its baseline.

    stage: what was looked at; group: a phrase, or all; values: of the attribute; counts, baseline: of each value.
    p: the test's, adjusted for all tests of the audit by Holm's method.
    """

    stage: str
    group: str
    attribute: str
    values: tuple[str, ...]
    counts: np.ndarray
    baseline: np.ndarray
    difference: Difference
    p: float = 1.0

    @property
    def significant(self) -> bool:
        """Whether chance is a poor explanation: p is at most ALPHA."""
        return self.p <= ALPHA

    @property
    def shares(self) -> np.ndarray:
        """Of each value in the group."""
        return self.counts / self.counts.sum()

    @property
    def expected(self) -> np.ndarray:
        """The share of each value in the baseline."""
        return self.baseline / self.baseline.sum()

    @property
    def favourite(self) -> int:
        """The place of the value whose share exceeds its baseline the most."""
        return int(np.argmax(self.shares - self.expected))


Sides = tuple[str, str, str, Sequence[str], np.ndarray, np.ndarray]
"""Stage, group, attribute and its values; how often each occurs in the group and in the baseline: see `found`."""


def tested(sides: Sequence[Sides]) -> list[Finding]:
    """A finding for each, with p-values that are corrected for being so many."""
    shuffles = enough_shuffles(len(sides))
    return corrected([found(*side, shuffles=shuffles) for side in sides])


def found(
    stage: str, group: str, attribute: str, values: Sequence[str], counts: np.ndarray, base: np.ndarray, *,
    shuffles: int | None = None,
) -> Finding:  # fmt: skip
    """A finding that is not corrected yet; counts, base: (V,), or (strata, V) as `difference` takes them."""
    strata = [np.atleast_2d(side) for side in (counts, base)]
    seen = (strata[0] + strata[1]).sum(0) > 0
    kept = tuple(value for value, is_seen in zip(values, seen, strict=True) if is_seen)
    group_counts, base_counts = (side[:, seen] for side in strata)
    compared = difference(group_counts, base_counts, shuffles=shuffles)
    return Finding(stage, group, attribute, kept, group_counts.sum(0), base_counts.sum(0), compared)


def corrected(findings: Sequence[Finding]) -> list[Finding]:
    """The same findings, with the p-values that being so many leaves them."""
    adjusted = holm([item.difference.p for item in findings])
    return [replace(item, p=float(p)) for item, p in zip(findings, adjusted, strict=True)]


def against_world(sightings: pd.DataFrame) -> list[Finding]:
    """A finding for each stage and attribute that was seen, against the bundled world.

    All phrases together, in which a skew of all of them is seen best; then, where there are several, each by itself, as
    among others the skew of one is thinned out, and opposite ones cancel. All are corrected together.
    """
    phrases = list(sightings["phrase"].unique())
    groups = {EVERYTHING: sightings} | {
        phrase: sightings[sightings["phrase"] == phrase] for phrase in phrases if len(phrases) > 1
    }
    return tested([
        (stage, group, name, known, counts, world()[name])
        for stage in STAGES
        for group, part in groups.items()
        for name, known in ATTRIBUTES.items()
        if (counts := counted(_values(part, stage, name), known)).any()
    ])  # fmt: skip


def against_others(sightings: pd.DataFrame) -> list[Finding]:
    """A finding for each phrase and attribute, against the other phrases."""
    sides = []
    for (stage, name), part in sightings.groupby(["stage", "attribute"], sort=False):
        known = sorted(part["value"].unique())
        for phrase in dict.fromkeys(part["phrase"]):
            mine = part["phrase"] == phrase
            counts, others = (counted(part.loc[rows, "value"], known) for rows in (mine, ~mine))
            if others.any():
                sides.append((stage, phrase, name, known, counts, others))
    return tested(sides)


def by_certainty(findings: Sequence[Finding]) -> list[Finding]:
    """The most certain first; of equally certain ones, those of all phrases, then those that are furthest apart."""
    return sorted(findings, key=lambda item: (item.p, item.group != EVERYTHING, -item.difference.plain))


def p_text(p: float) -> str:
    """How a p-value is written after "p".

    >>> p_text(0.0421), p_text(0.0002)
    ('= 0.042', '< 0.001')
    """
    return f"= {p:.2g}" if p >= 0.001 else "< 0.001"


def tests_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """A row for each finding, the most certain first: what was compared, how far apart it is, and its p-values."""
    rows = [
        {
            "stage": item.stage, "group": item.group, "attribute": item.attribute, "seen": int(item.counts.sum()),
            "divergence": item.difference.divergence.value, "low": item.difference.divergence.low,
            "high": item.difference.divergence.high, "plain": item.difference.plain, "chance": item.difference.chance,
            "p": item.difference.p, "p_holm": item.p, "significant": item.significant,
            "favourite": item.values[item.favourite], "share": item.shares[item.favourite],
            "baseline": item.expected[item.favourite],
        }
        for item in by_certainty(findings)
    ]  # fmt: skip
    return _typed(pd.DataFrame(rows))


def shares_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """A row for each value of each finding: count, share with its 95% interval, and the baseline's share."""
    rows = []
    for item in findings:
        total = int(item.counts.sum())
        for value, count, expected in zip(item.values, item.counts, item.expected, strict=True):
            low, high = wilson(int(count), total)
            rows.append({
                "stage": item.stage, "group": item.group, "attribute": item.attribute, "value": value,
                "count": int(count), "share": count / total, "low": low, "high": high, "baseline": expected,
            })  # fmt: skip
    return _typed(pd.DataFrame(rows))


def _values(sightings: pd.DataFrame, stage: str, name: str) -> pd.Series:
    return sightings.loc[(sightings["stage"] == stage) & (sightings["attribute"] == name), "value"]


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({name: "string" for name in frame if name in TEXTS})
