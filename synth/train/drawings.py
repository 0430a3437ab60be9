"""Pictures of a model before and after a training: held-out captions, ordinary ones, and what a judge reads off them.

Each picture is rendered once and kept by its job's key, so that a notebook that is run again only shows them.
"""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from synth.errors import RenderError
from synth.jobs import Job, Settings
from synth.measure.intervals import Figure
from synth.presets import resolve
from synth.records.pictures import is_intact, read_picture, save_picture
from synth.rendering import render
from synth.train.data.prepared import PreparedSet
from synth.vignettes.attributes import Scene
from synth.vignettes.evaluation import read_list, score
from synth.vignettes.judge import Judge
from synth.vignettes.lessons import STYLE, lacquer_share

Asked = tuple[str, int]  # a caption, and the seed of its noise


def new_captions(prepared: PreparedSet, count: int) -> list[Asked]:
    """Held-out captions of a set, the first of each picture; of a lesson those in the new style only."""
    records = [prepared.records[place] for place in prepared.indices("validation")]
    new = [record for record in records if record.attributes.get("style") == STYLE] or records
    return [(record.captions[0], seed) for seed, record in enumerate(new[:count])]


def old_captions(count: int) -> list[Asked]:
    """The first captions of the list that the bundled model is measured on, none of them of a lesson."""
    return [(item.caption, item.seed) for item in read_list()[:count]]


def old_scenes(count: int) -> list[Scene]:
    """What `old_captions` describe."""
    return [item.scene for item in read_list()[:count]]


def draw(asked: Sequence[Asked], model: str, settings: Settings, kept: Path, device: str = "auto") -> list[Image.Image]:
    """A picture of each caption, in order; those that the folder `kept` has not yet are rendered and put there.

    A job's key tells the weights too: a model trained anew is drawn anew. RenderError where a picture failed.
    """
    reference = resolve(model, "renderer")
    jobs = [Job(phrase=text, prompt=text, seed=seed, settings=settings, model=reference) for text, seed in asked]
    kept.mkdir(parents=True, exist_ok=True)
    files = {job.key: kept / f"{job.key}.png" for job in jobs}
    missing = {job.key: job for job in jobs if not is_intact(files[job.key])}
    for result in render(list(missing.values()), device=device):
        if result.image is None:
            raise RenderError(f"{model} could not draw {result.job.prompt!r}: {result.error}.")
        save_picture(result.image, files[result.job.key], result.job, {})
    return [read_picture(files[job.key]).image for job in jobs]


def gold(pictures: Sequence[Image.Image]) -> Figure:
    """The share of the pictures' pixels that have a colour of the lesson's style."""
    return Figure.of_mean("gold", lacquer_share(pictures))


def right(pictures: Sequence[Image.Image]) -> list[Figure]:
    """In how many pictures of `old_captions` a judge, who is taught by drawn scenes alone, sees what was asked for."""
    found = score(old_scenes(len(pictures)), Judge.load().read(pictures))
    return [Figure.of_share(name, item.right, item.count) for name, item in found.items()]
