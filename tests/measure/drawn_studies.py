"""Studies of the world's own drawings, whose measures are known, and people who vote on them."""

import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from synth.jobs import Job, Result
from synth.journal import Journal
from synth.records.plans import Plan, make_plan
from synth.studies import Study
from synth.vignettes.attributes import Scene
from synth.vignettes.captions import plain_caption
from synth.vignettes.world import draw
from synth.writing.prompts import Expansion, Prompt

SCENES = [
    Scene("castle", "red", "sea", "night", "clear", "watercolor"),
    Scene("cat", "white", "city", "noon", "snow", "flat illustration"),
]


def write_study(
    folder: Path, plan: Plan, expansion: Expansion, picture: Callable[[int, Job], Image.Image | None]
) -> Study:
    """A study's files; picture: (number of the job, job) -> its picture, or None where it failed."""
    (folder / "images").mkdir(parents=True)
    study = Study(folder, plan, expansion, datetime.now(UTC).replace(microsecond=0))
    study._write()
    with Journal(folder) as journal:
        for number, (job, place) in enumerate(zip(study.jobs, plan.coordinates(len(expansion)), strict=True)):
            image = picture(number, job)
            result = Result(job=job, status="done" if image else "failed", image=image, error="" if image else "no")
            facts = {"prompt_index": place["prompt_index"], "strict": False, "candidate": None, "logprob": None}
            journal.record(result, **facts)
        journal.export()
    return study


def drawn_study(
    folder: Path, *, seeds: int = 4, axes: Sequence[str] = (), odd: Mapping[int, Image.Image | None] | None = None
) -> Study:
    """What the world itself draws of two captions; odd: {number of a picture: another, or None for a failure}."""
    captions = [plain_caption(scene) for scene in SCENES]
    plan = make_plan(prompts=captions, seeds=seeds, axes=axes)
    expansion = Expansion(phrase="", prompts=tuple(Prompt(text=text, phrase=text) for text in captions))

    def picture(number, job):
        if number in (odd or {}):
            return odd[number]
        return draw(SCENES[captions.index(job.prompt)], job.seed, 128)

    return write_study(folder, plan, expansion, picture)


def quality_votes(page: Path, folder: Path, quality: Mapping[str, float], ballots: int = 10) -> list[Path]:
    """Vote files of people whose preferences follow `quality`, {key: strength}."""
    data = json.loads(re.search(r'id="page">(.*?)</script>', page.read_text(), re.DOTALL)[1])
    rng, paths = random.Random(0), []
    for number in range(ballots):
        start = rng.randrange(len(data["rounds"]))
        pairs = [pair for made in data["rounds"][start:] + data["rounds"][:start] for pair in made][: data["pairs"]]
        votes = []
        for pair in pairs:
            left, right = (data["pictures"][place]["key"] for place in pair)
            chance = 1 / (1 + math.exp(quality[right] - quality[left]))
            votes.append([left, right, "left" if rng.random() < chance else "right"])
        content = {name: data[name] for name in ("format", "study", "page")}
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(json.dumps(content | {"ballot": f"{number:032x}", "voter": "", "votes": votes}))
    return paths
