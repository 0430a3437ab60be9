"""What a measure is in each cell of a sweep, with intervals over seeds: the seeds are what chance is made of.

A cell's value is the mean over its seeds of the mean over their prompts. Its 95% interval is Student's, which unlike
the bootstrap is honest about a handful of seeds. Since all cells draw the same noise, two of them are compared seed by
seed: the interval of a difference is often much shorter than those of the two values.

Whoever looks for the best of many cells makes many comparisons, and some seem to tell something by chance. So the test
of a difference is corrected for all pairs of cells, whichever of them turned out best (Holm 1979).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from synth.compare.sweeps import Sweep
from synth.errors import InputError
from synth.measure.intervals import holm, students_reach

LOWER_IS_BETTER = ("kid", "near_duplicates", "self_bleu", "error_of_steps", "words_flagged")
FLAGS = "content_"  # begins the measures of the content check, of which less is better too


def cells(made: Sweep, measure: str, by: Sequence[str] | None = None) -> pd.DataFrame:
    """A row for each cell, with its place on the axes `by`, and the following columns.

    mean, low, high: of the measure, a column of the study's log, with its interval.
    gap, gap_low, gap_high: by how much the mean is above that of the best cell, at the same seeds. gap_p: of the paired
    t-test of that, corrected for all pairs of cells; 1 for the best itself.
    seeds, pictures, failed: how many there are. seconds: of a picture, on average.
    Means are NaN where no picture was measured, intervals where fewer than two seeds were, or where the measure is one
    of whole cells (`synth.measure.studies.GROUPED`). by: what is compared, unless others are asked for.
    """
    from synth.measure.studies import GROUPED  # here, because torch takes seconds

    by = list(by or made.varied)
    if not by:
        raise InputError("axes", by, "nothing but seeds varies; give x or y a setting, or several prompts")
    frame = _measured(made.frame, measure)
    grouped = frame.groupby(by, observed=True)
    values = frame.pivot_table("value", by, "draw", dropna=False, observed=True)  # (cells, seeds)
    values = values.reindex(grouped.size().index)
    table = intervals(values).join(intervals(values - _best(values, measure)).add_prefix("gap_"))
    table["gap_p"] = _corrected(values, sign(measure))
    if measure in GROUPED:
        table[["low", "high", "gap_low", "gap_high", "gap_p"]] = np.nan
    return table.assign(
        seeds=values.notna().sum(axis=1),
        pictures=grouped.size(),
        failed=grouped["failed"].sum(),
        seconds=grouped["time"].mean(),
    ).rename(columns={"gap_mean": "gap"}).reset_index()  # fmt: skip


def intervals(values: pd.DataFrame) -> pd.DataFrame:
    """The `mean` of each row, and `low` and `high`, the ends of its 95% interval (Student 1908)."""
    mean, reach = values.mean(axis=1), students_reach(values.to_numpy(float))
    return pd.DataFrame({"mean": mean, "low": mean - reach, "high": mean + reach})


def sign(measure: str) -> int:
    """1 where more of it is better, else -1."""
    return -1 if measure in LOWER_IS_BETTER or measure.startswith(FLAGS) else 1


def _best(values: pd.DataFrame, measure: str) -> pd.Series | float:
    """The row of the cell that is best."""
    means = sign(measure) * values.mean(axis=1)
    return values.loc[means.idxmax()] if means.notna().any() else np.nan


def _corrected(values: pd.DataFrame, way: int) -> np.ndarray:
    """p of the difference to the best cell of each, (n,), values (n, seeds); NaN where a cell has fewer than two."""
    cells, means = values.to_numpy(float), way * values.mean(axis=1).to_numpy(float)
    found = np.full(len(cells), np.nan)
    told = np.flatnonzero(np.isfinite(cells).sum(1) > 1)
    if not len(told):
        return found
    best = told[means[told].argmax()]
    first, second = (told[places] for places in np.triu_indices(len(told), 1))
    adjusted = holm(_paired_p(cells[first] - cells[second]))
    found[best] = 1
    for side, other in ((first, second), (second, first)):
        found[other[side == best]] = adjusted[side == best]
    return found


def _paired_p(differences: np.ndarray) -> np.ndarray:
    """p of the hypothesis that differences, (n, seeds), are 0 on average, (n,); 1 where they do not vary from 0."""
    count, mean = np.isfinite(differences).sum(1), np.nansum(differences, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = mean / count
        deviation = np.sqrt(np.nansum((differences - mean[:, None]) ** 2, 1) / (count - 1))
        t = mean / (deviation / np.sqrt(count))
    return np.nan_to_num(2 * stats.t.sf(np.abs(t), np.maximum(count - 1, 1)), nan=1.0)


def _measured(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The frame with `value` and `time` of finished pictures, and prompts that sort by their place in the study."""
    if measure not in frame.select_dtypes("number"):
        raise InputError("measure", measure, "name a measure that is in the study's log (synth.measure adds them)")
    prompts = frame.sort_values("prompt_index")["prompt"].unique()
    done = frame["status"] == "done"
    return frame.assign(
        prompt=pd.Categorical(frame["prompt"], categories=prompts, ordered=True),
        value=frame[measure].where(done),
        time=frame["seconds"].where(done),
        draw=frame["seed"],
        failed=frame["status"] == "failed",
    )
