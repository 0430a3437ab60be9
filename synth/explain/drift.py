"""Drift: how near phrase, prompt and picture are to one another in CLIP, and which prompts lost the phrase.

A prompt has kept the phrase where it is nearer to it than to 95% of unrelated texts; a picture likewise. The unrelated
texts are captions of the bundled picture world, plain English, that share no word with phrase or prompt. So what
shares nothing with the phrase is flagged in about 95% of cases, and what kept it only where CLIP errs.
"""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from PIL import Image

from synth.explain.studied import jobs_of, pictures_of
from synth.jobs import Job
from synth.layout.lettering import shorten
from synth.measure.clip import Clip, check_clip
from synth.measure.intervals import LEVEL
from synth.plots import ACCENT, ALARM, FAINT, NotebookFigure, set_title, style
from synth.studies import Study
from synth.vignettes.attributes import random_scene
from synth.vignettes.captions import CONNECTIVES, caption

UNRELATED, TRIES = 200, 5_000  # texts to compare with, and captions to choose them from
MOST_PROMPTS = 40
PANELS = {
    "phrase_prompt": "Phrase and prompt",
    "phrase_picture": "Phrase and picture",
    "prompt_picture": "Prompt and picture",
}
LIMITS = {"phrase_prompt": "prompt_limit", "phrase_picture": "picture_limit"}


@dataclass(frozen=True)
class Drift:
    """How near phrase, prompts and pictures are, as cosines from -1 to 1.

    frame: a row for each picture: key, prompt_index, prompt, seed, phrase_prompt, phrase_picture, prompt_picture, and
    prompt_limit and picture_limit, what 95% of unrelated texts stay below. clip: the CLIP that read and saw them.
    """

    phrase: str
    frame: pd.DataFrame
    clip: str

    def table(self) -> pd.DataFrame:
        """A row for each prompt: the means over its pictures, and whether prompt and pictures lost the phrase."""
        table = self.frame.drop(columns=["key", "seed"]).groupby(["prompt_index", "prompt"], as_index=False).mean()
        table["prompt_lost"] = table["phrase_prompt"] < table["prompt_limit"]
        table["picture_lost"] = table["phrase_picture"] < table["picture_limit"]
        return table


def drift(study: Study, *, clip: str = "vignettes-clip", device: str = "auto") -> Drift:
    """The drift of a study; of a sweep, that of its first combination. A prompt of one's own is its own phrase."""
    check_clip(clip)
    pictures = pictures_of(study, jobs_of(study))
    measurer = Clip.load(clip, device)
    rows = [
        row for index in range(len(study.expansion))
        for row in _rows(index, [job for job in jobs_of(study, index) if job.key in pictures], pictures, measurer)
    ]  # fmt: skip
    return Drift(study.plan.phrase, pd.DataFrame(rows).astype({"key": "string", "prompt": "string"}), measurer.identity)


def _rows(index: int, jobs: list[Job], pictures: Mapping[str, Image.Image], clip: Clip) -> Iterator[dict[str, Any]]:
    """A row for each finished picture of one prompt."""
    if not jobs:
        return
    prompt = jobs[0].prompt
    phrase, text = clip.embed_texts([jobs[0].phrase, prompt])
    others = clip.embed_texts(unrelated(f"{jobs[0].phrase} {prompt}"))
    limit = float(np.quantile(others @ text, LEVEL))
    for job, seen in zip(jobs, clip.embed_pictures([pictures[job.key] for job in jobs]), strict=True):
        yield {
            "key": job.key, "prompt_index": index, "prompt": prompt, "seed": job.seed,
            "phrase_prompt": float(phrase @ text), "phrase_picture": float(phrase @ seen),
            "prompt_picture": float(text @ seen), "prompt_limit": limit,
            "picture_limit": float(np.quantile(others @ seen, LEVEL)),
        }  # fmt: skip


def unrelated(text: str) -> list[str]:
    """200 captions of the picture world, always the same, that share no word with `text` but words like "the".

    Any captions where a text is so long that there are none of these.
    """
    words = _words(text)
    apart = [caption for caption, said in _captions() if not said & words]
    return (apart or [caption for caption, _ in _captions()])[:UNRELATED]


@cache
def _captions() -> list[tuple[str, frozenset[str]]]:
    """Captions of random scenes, and the words of each."""
    rng = random.Random(0)
    texts = [caption(random_scene(rng), rng) for _ in range(TRIES)]
    return [(text, _words(text)) for text in texts]


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower())) - CONNECTIVES


def drift_rows(found: Drift) -> NotebookFigure:
    """A row for each prompt, up to 40: the three similarities, each picture's a dot, and what unrelated texts reach."""
    table = found.table().head(MOST_PROMPTS)
    rest = f"; the first {MOST_PROMPTS} prompts" if len(found.table()) > MOST_PROMPTS else ""
    with style():
        figure = NotebookFigure(figsize=(10.4, 1.7 + 0.42 * len(table)), layout="constrained")
        panels = figure.subplots(1, len(PANELS), sharey=True, sharex=True)
        for axes, (name, title) in zip(panels, PANELS.items(), strict=True):
            _draw_panel(axes, found, table, name)
            set_title(axes, title, f"bar: what unrelated texts reach{rest}" if name in LIMITS else "")
        _label(panels[0], found, table)
    return figure


def _draw_panel(axes: Axes, found: Drift, table: pd.DataFrame, name: str) -> None:
    for row, prompt in enumerate(table.itertuples()):
        mine = found.frame[found.frame["prompt_index"] == prompt.prompt_index]
        lost = name in LIMITS and getattr(prompt, name) < getattr(prompt, LIMITS[name])
        if name in LIMITS:
            axes.barh(row, getattr(prompt, LIMITS[name]) + 1, left=-1, height=0.66, color=FAINT, zorder=0)
        colour = ALARM if lost else ACCENT
        axes.scatter(mine[name], [row] * len(mine), s=14, color=colour, alpha=0.45, lw=0)
        axes.scatter(getattr(prompt, name), row, s=60, color=colour, zorder=3)
        if lost:
            axes.text(1, row, "lost", size=9, color=ALARM, va="center", ha="right")
    lowest = min(0.0, found.frame[list(PANELS)].min().min())
    axes.set(xlim=(lowest - 0.05, 1.02), xlabel="cosine in CLIP")
    axes.tick_params(axis="y", left=False)


def _label(axes: Axes, found: Drift, table: pd.DataFrame) -> None:
    added = [prompt.removeprefix(found.phrase).strip(" ,") or prompt for prompt in table["prompt"]]
    names = [f"{index + 1}  {shorten(text, 36)}" for index, text in zip(table["prompt_index"], added, strict=True)]
    axes.set_yticks(range(len(table)), names)
    axes.set_ylim(len(table) - 0.4, -0.6)
