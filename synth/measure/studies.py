"""Measures of a study's pictures, as columns of its log, each with what measured it.

Most are of a picture. Those of GROUPED are of a group, and each of its pictures has the same value: of all that share
their place on the study's axes, or of the whole study where it has none.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from synth import __version__
from synth.errors import InputError
from synth.jobs import check_choice
from synth.measure import attributes, duplicates, look
from synth.measure.clip import check_clip, clip_score, for_kid
from synth.measure.diversity import added_words, distinct, self_bleu, vendi
from synth.measure.intervals import Figure
from synth.measure.kid import SMALLEST, kid
from synth.measure.reference import Reference
from synth.measure.sight import Sight
from synth.measure.votes import COLUMNS
from synth.records.plans import Plan

if TYPE_CHECKING:
    import pandas

    from synth.studies import Study

Values = list[float | None]


class Measured(NamedTuple):
    """Columns of values, one for each picture in its order, and what measured them."""

    columns: dict[str, Values]
    model: str


def measure(
    study: "Study",
    measures: Sequence[str] = (),
    *,
    clip: str = "vignettes-clip",
    reference: str | Path | None = None,
    device: str = "auto",
    progress: bool = True,
) -> "pandas.DataFrame":
    """Add measures to the log of a study, in the place of earlier ones, and return its frame.

    measures: names of MEASURES; by default all that apply: attributes where the bundled model drew every picture, and
    KID where there is a reference.
    clip: a preset, hub id or folder. The bundled one knows the bundled world alone: other pictures want another, such
    as openai/clip-vit-base-patch32.
    reference: a folder of pictures, for KID.
    InputError, ModelError or StudyError before a model is loaded; StudyError also where a picture is damaged.
    """
    names = check_measures(study.plan, measures, clip=clip, reference=reference)
    found = Reference.find(reference) if reference is not None else None
    sight = Sight(study, clip, found, device, progress)
    for name in names:
        columns, model = MEASURES[name](sight)
        for column, values in columns.items():
            study.measure(column, dict(zip(sight.rows["key"], values, strict=True)), f"{model}; synth {__version__}")
    return study.frame()


def measured(frame: "pandas.DataFrame") -> list[str]:
    """The automatic measures that a study's frame has, those that are known here first and in their order."""
    found = [name for name in frame if f"{name}_model" in frame and name not in COLUMNS]
    known = [name for name in (*MEASURES, "kid_low", "kid_high") if name in found]
    return known + [name for name in found if name not in known]


def summary(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """A row for each automatic measure in a study's frame: measure, mean, low, high, pictures, model.

    mean, low and high: as `mean_of` gives them. A measure of groups, which are no sample, has no interval; that of KID
    stands in kid_low and kid_high.
    """
    import pandas

    rows = []
    for name in measured(frame):
        values = frame[name].dropna()
        if len(values):
            figure = mean_of(frame, name)
            told = name not in GROUPED and isfinite(figure.low)
            low, high = (figure.low, figure.high) if told else (None, None)
            model = frame.loc[values.index[0], f"{name}_model"]
            rows.append((name, figure.value, low, high, len(values), model))
    return pandas.DataFrame(rows, columns=["measure", "mean", "low", "high", "pictures", "model"])


def mean_of(frame: "pandas.DataFrame", name: str) -> Figure:
    """The mean of a measure, which has values in a study's frame, and its 95% interval (Student's) over `drawn_by`.

    Pictures of one seed or prompt are alike, so that each seed, or prompt, counts once, with the mean of its pictures.
    """
    return Figure.of_few(name, frame.groupby(drawn_by(frame))[name].mean().dropna().to_numpy(float))


def drawn_by(frame: "pandas.DataFrame") -> str:
    """The column whose values count as drawn at random: the seeds, or the prompts where there are more of these."""
    return "seed" if frame["seed"].nunique() >= frame["prompt_index"].nunique() else "prompt_index"


def check_measures(
    plan: Plan, measures: Sequence[str] = (), *, clip: str = "vignettes-clip", reference: str | Path | None = None
) -> list[str]:
    """The measures that `measure` takes of a study with that plan, each once; loads no model.

    InputError for an unknown one, where KID and its reference are not both given, and for a reference of too few
    pictures; ModelError for what is no CLIP.
    """
    for name in measures:
        check_choice("measure", name, tuple(MEASURES))
    if "kid" in measures and reference is None:
        raise InputError("reference", reference, "give a folder of pictures that KID compares these with")
    if measures and reference is not None and "kid" not in measures:
        raise InputError("reference", str(reference), "only kid compares with it: add kid to the measures")
    if reference is not None:
        Reference.find(reference)
    check_clip(clip)
    left_out = [] if is_bundled(plan) else ["attributes_phrase", "attributes_prompt"]
    left_out += ["kid"] if reference is None else []
    return list(dict.fromkeys(measures)) or [name for name in MEASURES if name not in left_out]


def is_bundled(plan: Plan) -> bool:
    """Whether the bundled model draws every picture, so that its CLIP and its judge can tell what is in them."""
    return {plan.model.name} | {model.name for axis in plan.axes for model in axis.models} == {"vignettes"}


def _clip_score(column: str, sight: Sight) -> Measured:
    scores = clip_score(sight.vectors, sight.text_vectors(sight.rows[column]))
    return Measured({f"clip_{column}": scores.tolist()}, f"CLIP score (Hessel et al. 2021), {sight.clip.identity}")


def _accuracy(column: str, sight: Sight) -> Measured:
    pairs = zip(sight.rows[column], sight.readings, strict=True)
    values = [attributes.accuracy(text, reading) for text, reading in pairs]
    return Measured({f"attributes_{column}": values}, f"{attributes.METHOD}, {sight.judge}")


def _look(name: str, see: Callable[[Image.Image], float], method: str, sight: Sight) -> Measured:
    return Measured({name: list(map(see, sight.pictures(name)))}, method)


def _near_duplicates(sight: Sight) -> Measured:
    prints = list(map(duplicates.fingerprint, sight.pictures("near-duplicates")))
    counts = sight.by_group(lambda places: duplicates.near_duplicates([prints[place] for place in places]))
    return Measured({"near_duplicates": counts}, f"others of {sight.group}: {duplicates.METHOD}")


def _vendi_pictures(sight: Sight) -> Measured:
    scores = sight.of_group(lambda places: vendi(sight.vectors[places]))
    return Measured({"vendi_pictures": scores}, f"{VENDI} of {sight.clip.identity}, over {sight.group}")


def _vendi_prompts(sight: Sight) -> Measured:
    def score(places: list[int]) -> float:
        return vendi(sight.text_vectors([prompt for _, prompt in sight.texts(places)]))

    return Measured({"vendi_prompts": sight.of_group(score)}, f"{VENDI} of {sight.clip.identity}, over {sight.group}")


def _added(name: str, value: Callable[[list[str]], float | None], method: str, sight: Sight) -> Measured:
    """A measure of the words that the prompts of a group add to their phrases."""
    values = sight.of_group(lambda places: value([added_words(*text) for text in sight.texts(places)]))
    return Measured({name: values}, f"{method} of the words added to the phrase, over {sight.group}")


def _kid(sight: Sight) -> Measured:
    others = for_kid(sight.clip_vectors(sight.reference.pictures()))

    def figure(places: list[int]) -> Figure | None:
        return kid(for_kid(sight.vectors[places]), others) if len(places) >= SMALLEST else None

    figures = sight.of_group(figure)
    parts = {"kid": "value", "kid_low": "low", "kid_high": "high"}
    columns = {name: [found and getattr(found, part) for found in figures] for name, part in parts.items()}
    method = f"KID (Binkowski et al. 2018) of {sight.clip.identity}, against {sight.reference.identity}"
    return Measured(columns, f"{method}, over {sight.group}; kid_low to kid_high is its 95% interval")


VENDI = "Vendi score (Friedman & Dieng 2023) of the cosines"

MEASURES: dict[str, Callable[[Sight], Measured]] = {
    "clip_phrase": partial(_clip_score, "phrase"),
    "clip_prompt": partial(_clip_score, "prompt"),
    "attributes_phrase": partial(_accuracy, "phrase"),
    "attributes_prompt": partial(_accuracy, "prompt"),
    "sharpness": partial(_look, "sharpness", look.sharpness, look.SHARPNESS),
    "colourfulness": partial(_look, "colourfulness", look.colourfulness, look.COLOURFULNESS),
    "near_duplicates": _near_duplicates,
    "vendi_pictures": _vendi_pictures,
    "vendi_prompts": _vendi_prompts,
    "distinct_1": partial(_added, "distinct_1", partial(distinct, n=1), "distinct-1 (Li et al. 2016)"),
    "distinct_2": partial(_added, "distinct_2", partial(distinct, n=2), "distinct-2 (Li et al. 2016)"),
    "self_bleu": partial(_added, "self_bleu", self_bleu, "self-BLEU-3 (Zhu et al. 2018)"),
    "kid": _kid,
}
GROUPED = ("vendi_pictures", "vendi_prompts", "distinct_1", "distinct_2", "self_bleu", "kid", "kid_low", "kid_high")
