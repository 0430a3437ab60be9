"""Two pictures, or two studies, side by side: which pictures belong together, and what differs in their jobs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from synth.compare.cells import intervals
from synth.edit import provenance
from synth.edit.provenance import Edited
from synth.errors import InputError, StudyError
from synth.jobs import content_key
from synth.measure.intervals import Figure
from synth.plots import name_value
from synth.records.pictures import read_picture
from synth.records.rows import job_columns
from synth.records.sources import open_picture
from synth.studies import ROOT, Study

MACHINE = ("device", "dtype", "strict", "batch_size", "synth", "torch", "diffusers", "transformers")
JOB = (
    "phrase", "prompt", "seed", "negative_prompt", "scheduler", "steps", "guidance_scale", "guidance_rescale", "eta",
    "width", "height", "timestep_spacing", "respacing", "timesteps", "sigmas", "strength", "postprocess", "model",
    "revision", "digest", "loras", "source", "mask", "guidance_interval", "precision", "edited",
)  # fmt: skip
MOST_VALUES = 4

Row = dict[str, Any]
"""A row of a log: the columns of the job and of its making, and `file`, where its picture lies."""


@dataclass(frozen=True)
class Pair:
    """Two rows whose pictures are to be seen together; label: what they have in common."""

    a: Row
    b: Row
    label: str

    def pictures(self) -> tuple[Image.Image, Image.Image]:
        """Both in RGB. StudyError where one is missing or damaged, InputError where their sizes differ."""
        a, b = (_image(row).convert("RGB") for row in (self.a, self.b))
        if a.size != b.size:
            sizes = " and ".join(f"{picture.width} x {picture.height}" for picture in (a, b))
            raise InputError("pictures", sizes, "give two of one size: only they can be laid over each other")
        return a, b


@dataclass(frozen=True)
class Comparison:
    """Two pictures or studies: their names, the pairs that can be seen, and why others cannot."""

    names: tuple[str, str]
    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """64 hexadecimal digits that name the comparison: of its names and pictures."""
        return content_key([self.names, [(pair.a["key"], pair.b["key"]) for pair in self.pairs]])

    def differences(self, fields: tuple[str, ...] = JOB) -> list[tuple[str, str, str]]:
        """Field, value in the first, value in the second: each two different values that some pair has."""
        return [found for field in fields for found in _differences(self.pairs, field)]

    def measured(self) -> list[tuple[Figure, Figure, Figure]]:
        """The mean of each measure that both have, in the first and in the second, and that of second less first.

        With 95% intervals over the pairs (Student's). Nothing for a single pair.
        """
        if len(self.pairs) < 2:
            return []
        from synth.measure.studies import measured  # here, because torch takes seconds

        a, b = (pd.DataFrame(rows) for rows in zip(*((pair.a, pair.b) for pair in self.pairs), strict=True))
        names = [name for name in measured(a) if name in measured(b)]
        return [_paired(name, a[name].astype(float), b[name].astype(float)) for name in names]


def compare(a: str | Path, b: str | Path, root: str | Path = ROOT) -> Comparison:
    """Two studies, by name or folder, or two PNGs that Synth saved, also by `synth edit`.

    Pictures of studies belong together by prompt and seed, and by the axes that both studies have; where they have no
    prompt in common, the prompt's place counts. StudyError for what is neither, and for a study without pictures;
    InputError where one is a study and one a picture, where nothing belongs together, and for unlike sizes.
    """
    kinds = [Path(item).is_file() or Path(item).suffix.lower() == ".png" for item in (a, b)]
    if kinds[0] != kinds[1]:
        raise InputError("compare", f"{a} and {b}", "give two pictures or two studies")
    return _two_pictures(Path(a), Path(b)) if kinds[0] else compare_studies(Study.open(a, root), Study.open(b, root))


def compare_studies(a: Study, b: Study) -> Comparison:
    """The pictures of two studies; see `compare`."""
    rows = [_rows(study) for study in (a, b)]
    shared = {row["prompt"] for row in rows[0]} & {row["prompt"] for row in rows[1]}
    by = ["prompt" if shared else "prompt_index", "seed"]
    by += [axis.name for axis in a.plan.axes if axis.name in [other.name for other in b.plan.axes]]
    second: dict[tuple, list[Row]] = {}
    for row in rows[1]:
        second.setdefault(_place(row, by), []).append(row)
    every = [Pair(row, other, _label(row, by)) for row in rows[0] for other in second.get(_place(row, by), [])]
    if not every:
        raise InputError("compare", f"{a.name} and {b.name}", "give two studies that have seeds in common")
    good = [pair for pair in every if pair.a["status"] == pair.b["status"] == "done"]
    if good:
        good[0].pictures()
    left_out = [f"{pair.label}: {_trouble(pair)}" for pair in every if pair not in good]
    return Comparison((a.name, b.name), tuple(good), tuple(left_out))


def _two_pictures(a: Path, b: Path) -> Comparison:
    pair = Pair(_picture_row(a), _picture_row(b), label="")
    pair.pictures()
    names = (a.name, b.name) if a.name != b.name else (f"{a.parent.name}/{a.name}", f"{b.parent.name}/{b.name}")
    return Comparison(names, (pair,))


def _picture_row(path: Path) -> Row:
    """What a picture says of itself; `edited` is what was done to it after it was rendered, or brought."""
    try:
        picture = read_picture(path)
    except StudyError:
        edited = _edited(path)
        if edited is None:
            raise
        row = job_columns(edited.job) if edited.job else {"phrase": "", "prompt": ""}
        return row | {"key": edited.recorded, "edited": ", then ".join(map(str, edited.steps)), "file": path}
    return job_columns(picture.job) | picture.facts | {"edited": "", "file": path}


def _edited(path: Path) -> Edited | None:
    """A picture that was edited, None for any other."""
    try:
        found = provenance.read(path)
    except InputError:
        return None
    return found if found.steps else None


def _image(row: Row) -> Image.Image:
    return open_picture(row["file"], "picture") if row.get("edited") else read_picture(row["file"]).image


def _rows(study: Study) -> list[Row]:
    """A study's rows with their labels on its axes, as `axes`, and their files."""
    frame = study.frame()
    if not (frame["status"] == "done").any():
        raise StudyError(f"{study.folder} has no pictures yet; run the study first")
    places = study.coordinates().set_index("key").to_dict("index")
    return [
        row | {"axes": places.get(row["key"], {}), "file": study.folder / row["path"]}
        for row in frame.to_dict("records")
    ]


def _place(row: Row, by: list[str]) -> tuple:
    return tuple(row["axes"].get(name, row.get(name)) if name != "prompt" else row["prompt"] for name in by)


def _label(row: Row, by: list[str]) -> str:
    """Such as "prompt 2, seed 7, steps 20"."""
    places = [f"{name.replace('_', ' ')} {row['axes'][name]}" for name in by[1:]]
    return ", ".join([f"prompt {row['prompt_index'] + 1}", *places])


def _trouble(pair: Pair) -> str:
    reasons = [row["error"] or "no reason was recorded" for row in (pair.a, pair.b) if row["status"] != "done"]
    return "; ".join(dict.fromkeys(reasons))


def _differences(pairs: tuple[Pair, ...], field: str) -> Iterator[tuple[str, str, str]]:
    values = [(pair.a.get(field), pair.b.get(field)) for pair in pairs]
    unlike = dict.fromkeys((_shown(field, a), _shown(field, b)) for a, b in values if a != b)
    for a, b in list(unlike)[:MOST_VALUES]:
        yield field, a, b
    if len(unlike) > MOST_VALUES:
        yield field, f"and {len(unlike) - MOST_VALUES:,} more", ""


def _shown(field: str, value: Any) -> str:
    if value is None:
        return "unknown"
    if field in ("phrase", "prompt", "negative_prompt"):
        return str(value) or "none"
    if field in ("digest", "revision", "source", "mask"):
        return str(value)[:19] or "none"
    return name_value(field, value)


def _paired(name: str, a: pd.Series, b: pd.Series) -> tuple[Figure, Figure, Figure]:
    table = intervals(pd.DataFrame([a, b, b - a]))
    first, second, difference = (Figure(name, *row) for row in table.itertuples(index=False))
    return first, second, difference
