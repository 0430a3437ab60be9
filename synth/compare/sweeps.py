"""Sweeps: a study in which settings vary, laid out along x and y, and the rest as pages.

A sweep is a study like any other (resumed, logged, verified): every combination of its axes is rendered with every
prompt and every seed. Noise belongs to the seed, so that all pictures of a page start from the same noise, unless the
seed itself is what x or y is. (Pictures of another size have noise of another shape.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth import presets
from synth.errors import InputError
from synth.records.axes import NAMES, Axis, parse_values, split
from synth.records.estimates import ROUGH_SECONDS, check_amount, in_words, measured_seconds
from synth.records.plans import Plan, check_name, make_plan
from synth.records.rows import job_columns
from synth.records.sources import drawn_over
from synth.studies import ROOT, Study, check_place, check_root, study

if TYPE_CHECKING:
    import pandas

OWN = ("seed", "prompt")  # what every study varies, besides its axes
ON_THE_WAY = ("name", "device", "dtype", "batch_size")  # arguments of a study that don't decide its pictures


@dataclass(frozen=True)
class Layout:
    """What lies along x, along y, and on pages: "seed", "prompt" or the name of an axis; each once."""

    x: str
    y: str
    pages: tuple[str, ...]


class Sweep:
    """A study and its layout."""

    def __init__(self, study: Study, layout: Layout) -> None:
        self.study, self.layout = study, layout

    @property
    def varied(self) -> list[str]:
        """What is compared: the axes, and the prompts if there are several, as they lie along x, y and pages.

        Not the seeds, which tell how much is chance.
        """
        names = {axis.name for axis in self.study.plan.axes} | ({"prompt"} if len(self.study.expansion) > 1 else set())
        return [name for name in (self.layout.x, self.layout.y, *self.layout.pages) if name in names]

    @cached_property
    def frame(self) -> "pandas.DataFrame":
        """A row for each picture, rendered or not (status "left"), cell by cell of the axes.

        The columns of `Study.frame`, and one for each axis, categorical: its values in the order of the axis. Phrase
        and prompt are as they were before the axes changed them, so that a prompt is one row of a grid.
        """
        import pandas

        found, places = self.study.frame(), self.study.coordinates()
        jobs = pandas.DataFrame([job_columns(job) for job in self.study.jobs])
        left = jobs[~jobs["key"].isin(found["key"])].assign(status="left", path="", error="")
        every = pandas.concat([found, left]) if len(left) else found
        frame = every.set_index("key").loc[places["key"]].reset_index()
        frame["prompt_index"] = places["prompt_index"]
        frame["prompt"] = frame["prompt_index"].map(lambda place: self.study.expansion[place].text)
        frame["phrase"] = self.study.plan.phrase or frame["prompt"]
        for axis in self.study.plan.axes:
            numbers = {axis.label(place): place for place in range(len(axis.values))}
            codes = places[axis.name].map(numbers)
            frame[axis.name] = pandas.Categorical.from_codes(codes, categories=axis.values, ordered=True)
        frame.attrs["folder"] = str(self.study.folder)
        return frame

    def measure(
        self,
        measures: Sequence[str] = (),
        *,
        clip: str | None = None,
        reference: str | Path | None = None,
        device: str = "auto",
    ) -> list[str]:
        """Add measures to the log (`synth.measure.studies`) and return their names: none without pictures, or
        where nothing but seeds varies. The arguments and errors of `Request.check_measures`.
        """
        from synth.measure.studies import measure  # here, because torch takes seconds

        names = _measures(self.study.plan, measures, clip, reference)
        if not self.study.counts["done"] or not self.varied:
            return []
        how = {"clip": clip or "vignettes-clip", "reference": reference, "device": device}
        measure(self.study, names, **how, progress=False)
        self.__dict__.pop("frame", None)
        return names

    def __repr__(self) -> str:
        return f"<Sweep of {self.layout.x} by {self.layout.y} in {self.study.folder}>"


@dataclass(frozen=True)
class Request:
    """A sweep that was checked and not rendered yet.

    arguments: of `synth.study`. left: how many of the plan's pictures are not rendered yet. about: how long they take.
    """

    arguments: dict[str, Any]
    plan: Plan
    layout: Layout
    left: int
    about: str

    def check_measures(
        self, measures: Sequence[str] = (), *, clip: str | None = None, reference: str | Path | None = None
    ) -> None:
        """InputError or ModelError for what `Sweep.measure` does not take; loads no model.

        measures: names; by default how sharp the pictures are, and how well they fit their prompts where that can be
        told: with the bundled CLIP and judge for pictures of the bundled model, with `clip` for others.
        reference: a folder of pictures, for KID.
        """
        _measures(self.plan, measures, clip, reference)

    def run(self, progress: bool = True) -> Sweep:
        """Render what is missing."""
        return Sweep(study(**self.arguments, progress=progress), self.layout)


def sweep(phrase: str | None = None, *, progress: bool = True, **how: Any) -> Sweep:
    """Render what is missing of a sweep; the arguments and errors of `prepare`."""
    return prepare(phrase, **how).run(progress)


def prepare(
    phrase: str | None = None,
    *,
    x: str | None = None,
    y: str | None = None,
    pages: str | None = None,
    out: str | Path = ROOT,
    yes: bool = False,
    **how: Any,
) -> Request:
    """Check a sweep and plan its study; loads no model, and writes nothing but the folder of studies.

    x, y, pages: axes as texts, such as "guidance_scale=1,3,5" (`synth.records.axes`), "seed" or "prompt", or their
    values: "seed=3,7,11", "prompt=a red house | a blue house". Left out, x is the seed, and y the prompt, or the seed
    if there is one prompt. What lies on neither has pages. how: other arguments of `synth.study`; `n` is 1 by default,
    or 4 where prompts are compared.

    InputError for an axis that is unknown, or has one value or an empty one, and for more than 200 pictures without
    `yes`, with their number and about how long they take.
    """
    names, found = _parsed({"x": x, "y": y, "pages": pages}, how)
    arguments = {"n": 4 if "prompt" in names.values() else 1} | how | found
    settings = how.get("settings") or presets.advised(how.get("model", "vignettes"))
    pictures = drawn_over(how.get("source"), how.get("mask"), settings)
    known = {name: value for name, value in arguments.items() if name not in (*ON_THE_WAY, "source", "mask")}
    phrase = None if "prompts" in found else phrase  # which the prompts take the place of
    plan = make_plan(phrase, **known, **dict(zip(("source", "mask"), pictures, strict=False)))
    root, name = check_root(out), how.get("name")
    check_amount(plan, root, yes)
    plan.check_cells()
    begun = check_place(root / (plan.folder_name if name is None else check_name(name)), plan)
    left = plan.pictures - (begun.counts["done"] if begun else 0)
    layout = _layout(names, [axis.name for axis in plan.axes], several=plan.n > 1)
    return Request({"phrase": phrase, "out": out, "yes": yes} | arguments, plan, layout, left, _about(plan, left, root))


def _parsed(texts: dict[str, str | None], how: dict[str, Any]) -> tuple[dict[str, str | None], dict[str, Any]]:
    """What lies where, and the arguments of a study that say so: axes, seeds, prompts."""
    names: dict[str, str | None] = {}
    axes: list[Axis] = []
    found: dict[str, Any] = {}
    for place, text in texts.items():
        name = text and split(text)[0]
        if name and name in names.values():
            raise InputError(place, text, "give each axis once")
        names[place] = name or None
        if name in OWN:
            found |= _own_values(name, text, how)
        elif text is not None:
            axes.append(Axis.parse(text))
    if not any(names.values()):
        raise InputError("x", None, "say what varies, such as guidance_scale=1,3,5 along x and steps=5,10,20 along y")
    axes.sort(key=lambda axis: NAMES.index(axis.name))  # x and y exchanged are the same study
    return names, found | {"axes": axes}


def _own_values(name: str, text: str, how: dict[str, Any]) -> dict[str, list]:
    """Seeds or prompts that are written out as an axis is; nothing for the name alone."""
    _, values = split(text)
    if values is None:
        return {}
    field, kind = {"seed": ("seeds", int), "prompt": ("prompts", str)}[name]
    if how.get(field) is not None:
        raise InputError(name, text, f"give {field} here or by themselves, not both")
    found = parse_values(name, values, kind)
    if len(found) < 2:
        raise InputError(name, values.strip(), "give an axis at least two values")
    return {field: found}


def _layout(names: dict[str, str | None], axes: Sequence[str], *, several: bool) -> Layout:
    taken = [name for name in names.values() if name]
    x = names["x"] or _free("x", ("seed", "prompt"), taken)
    y = names["y"] or _free("y", ("prompt", "seed") if several else ("seed", "prompt"), [*taken, x])
    rest = [name for name in (names["pages"], *axes, "prompt", "seed") if name]
    return Layout(x, y, tuple(dict.fromkeys(name for name in rest if name not in (x, y))))


def _free(place: str, names: Sequence[str], taken: Sequence[str]) -> str:
    for name in names:
        if name not in taken:
            return name
    raise InputError(place, None, f"say what lies along {place}: prompts and seeds lie elsewhere")


def _measures(plan: Plan, measures: Sequence[str], clip: str | None, reference: str | Path | None) -> list[str]:
    """The measures to take, or those that apply; see `Request.check_measures`."""
    from synth.measure.studies import check_measures, is_bundled  # here, because torch takes seconds

    bundled = is_bundled(plan)
    fitting = ["clip_prompt"] * (bundled or clip is not None) + ["attributes_prompt"] * bundled
    names = list(measures) or [*fitting, "sharpness", *["kid"] * (reference is not None)]
    return check_measures(plan, names, clip=clip or "vignettes-clip", reference=reference)


def _about(plan: Plan, left: int, root: Path) -> str:
    measured = measured_seconds(root, plan.model.name)
    seconds = plan.work * (measured or ROUGH_SECONDS) * left / plan.pictures
    return f"about {in_words(seconds)} ({'as measured here before' if measured else 'a rough guess'})"
