"""Figures of professions and identity terms: the clusters, where the professions fall, and how sure that is."""

from pathlib import Path

import numpy as np
import seaborn as sns

from synth.audit.findings import by_certainty, p_text
from synth.audit.professions import Professions
from synth.audit.sightings import LOOKS
from synth.explain.sheets import Cell, Row, sheet
from synth.layout.lettering import Span, shorten
from synth.plots import ACCENT, ALARM, INK, MUTED, NotebookFigure, new_axes, set_title, style
from synth.records.pictures import read_picture

MOST_TERMS, MOST_ROWS = 4, 40


def cluster_sheet(found: Professions) -> NotebookFigure:
    """A row for each cluster: the terms that most of its prompts had, and the pictures nearest to its centre."""
    rows = []
    for number, paths in enumerate(found.examples, start=1):
        part = found.made_of[found.made_of[LOOKS] == f"cluster {number:02d}"].nlargest(MOST_TERMS, "pictures")
        total = int(found.made_of.loc[found.made_of[LOOKS] == f"cluster {number:02d}", "pictures"].sum())
        terms = ", ".join(f"{row.term} {row.pictures / total:.0%}" for row in part.itertuples())
        label = Span(f"cluster {number:02d} ", INK, "bold"), Span(f"{total} pictures: {terms}", MUTED)
        rows.append(Row([Cell(read_picture(Path(path)).image) for path in paths], label))
    note = (
        f"by {found.clip.split()[0]}; in grey the terms that were in the prompts, which say nothing of anyone pictured"
    )
    return sheet(rows, "Clusters of the pictures of identity terms", note, cell=112, label=260)


def where(found: Professions) -> NotebookFigure:
    """The share of each profession's pictures in each cluster; those that differ from the others are red."""
    items = by_certainty(found.findings)[:MOST_ROWS]
    names = sorted({value for item in found.findings for value in item.values})
    shares = np.array([[_share(item, name) for name in names] for item in items])
    with style():
        figure, axes = new_axes(max(7.2, 2.6 + 0.62 * len(names)), 1.9 + 0.34 * len(items))
        labels = [f"{shorten(item.group, 24)}  p {p_text(item.p)}" for item in items]
        sns.heatmap(
            shares, ax=axes, vmin=0, vmax=1, cmap=sns.light_palette(ACCENT, as_cmap=True), linewidths=1.5,
            linecolor="white", annot=len(names) <= 14, fmt=".0%", annot_kws={"size": 8}, yticklabels=labels,
            xticklabels=[name.removeprefix("cluster ") for name in names], cbar=False,
        )  # fmt: skip
        axes.tick_params(length=0, labelrotation=0)
        axes.set(xlabel="cluster")
        for text, item in zip(axes.get_yticklabels(), items, strict=True):
            text.set_color(ALARM if item.significant else INK)
        set_title(
            axes, "Where the professions fall", "share of pictures in each cluster; red: unlike the others, p by Holm"
        )
    return figure


def _share(item, name: str) -> float:
    return float(item.shares[item.values.index(name)]) if name in item.values else 0.0
