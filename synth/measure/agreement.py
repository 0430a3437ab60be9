"""Whether automatic measures rank pictures as people do: rank correlations with their votes."""

import math
from typing import TYPE_CHECKING

import numpy as np

from synth.errors import StudyError
from synth.measure.intervals import Z
from synth.measure.studies import GROUPED, measured

if TYPE_CHECKING:
    import pandas

FEWEST = 5  # pictures


def agreement(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """A row for each measure of pictures in the frame of a study with votes, the best first.

    Its columns: measure, rho, low, high, pictures, model.
    rho: Spearman's, of the measure and bt_score; of several phrases, whose scores cannot be compared, by the ranks
    within each. low, high: its 95% interval by Fisher's transformation with the variance of Bonett & Wright 2000.
    A measure that is the same for all pictures, or known of fewer than 5 of a phrase, has no row.
    StudyError where nobody's votes are in the frame.
    """
    import pandas

    if "bt_score" not in frame:
        raise StudyError("the study has no votes yet; merge some with `synth votes merge STUDY FILES`")
    names = [name for name in measured(frame) if name not in GROUPED]
    rows = [row for name in names if (row := _correlation(frame, name))]
    table = pandas.DataFrame(rows, columns=["measure", "rho", "low", "high", "pictures", "model"])
    return table.sort_values("rho", ascending=False, ignore_index=True)


def _correlation(frame: "pandas.DataFrame", name: str) -> tuple | None:
    """A row of `agreement`; None where there is nothing to correlate."""
    both = frame.dropna(subset=[name, "bt_score"])
    both = both[both.groupby("phrase")["key"].transform("size") >= FEWEST]
    ranks = both.groupby("phrase")[[name, "bt_score"]].rank()
    centred = (ranks - ranks.groupby(both["phrase"]).transform("mean")).to_numpy()
    sizes = np.linalg.norm(centred, axis=0)
    if not sizes.all():
        return None
    rho = float(np.prod(centred, axis=1).sum() / sizes.prod())
    independent = len(both) - both["phrase"].nunique() + 1  # each further phrase costs a mean
    return name, rho, *interval(rho, independent), len(both), both[f"{name}_model"].iloc[0]


def interval(rho: float, count: int) -> tuple[float, float]:
    """The 95% interval of Spearman's rho of `count` > 3 pictures (Bonett & Wright 2000, formula 3)."""
    centre = math.atanh(max(-0.999999, min(0.999999, rho)))
    spread = Z * math.sqrt((1 + rho**2 / 2) / (count - 3))
    return math.tanh(centre - spread), math.tanh(centre + spread)
