"""What a measure is in each cell of a sweep, with intervals over seeds: the seeds are what chance is made of.

A cell's value is the mean over its seeds of the mean over their prompts. Its 95% interval is Student's, which unlike
the bootstrap is honest about a handful of seeds. Since all cells draw the same noise, two of them are compared seed by
seed: the interval of a difference is often much shorter than those of the two values.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from synth.compare.sweeps import Sweep
from synth.errors import InputError
from synth.measure.intervals import LEVEL

LOWER_IS_BETTER = ("kid", "near_duplicates", "self_bleu")


def cells(made: Sweep, measure: str, by: Sequence[str] | None = None) -> pd.DataFrame:
    """A row for each cell, with its place on the axes `by`, and the following columns.

    mean, low, high: of the measure, a column of the study's log, with its interval.
    gap, gap_low, gap_high: by how much the mean is above that of the best cell, at the same seeds.
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
    if measure in GROUPED:
        table[["low", "high", "gap_low", "gap_high"]] = np.nan
    return table.assign(
        seeds=values.notna().sum(axis=1),
        pictures=grouped.size(),
        failed=grouped["failed"].sum(),
        seconds=grouped["time"].mean(),
    ).rename(columns={"gap_mean": "gap"}).reset_index()  # fmt: skip


def intervals(values: pd.DataFrame) -> pd.DataFrame:
    """The `mean` of each row, and `low` and `high`, the ends of its 95% interval (Student 1908)."""
    mean, count = values.mean(axis=1), values.notna().sum(axis=1)
    reach = stats.t.ppf((1 + LEVEL) / 2, count - 1) * values.std(axis=1) / np.sqrt(count)
    return pd.DataFrame({"mean": mean, "low": mean - reach, "high": mean + reach})


def sign(measure: str) -> int:
    """1 where more of it is better, else -1."""
    return -1 if measure in LOWER_IS_BETTER else 1


def _best(values: pd.DataFrame, measure: str) -> pd.Series | float:
    """The row of the cell that is best."""
    means = sign(measure) * values.mean(axis=1)
    return values.loc[means.idxmax()] if means.notna().any() else np.nan


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
