"""What the bundled models are measured on, and how answers are counted.

evaluation.csv holds 600 full captions of held-out scenes. It was fixed before the renderer was trained.
"""

import csv
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from synth.measure.intervals import wilson
from synth.vignettes.attributes import ATTRIBUTES, Scene
from synth.vignettes.captions import caption, parse
from synth.vignettes.dataset import scene_at

COUNT = 600
LIST = Path(__file__).with_name("evaluation.csv")
FIRST_INDEX = 100_000
"""Held-out scenes from here on are the list's; those before serve validation and the judge's own marks."""

BARS = {"subject": 0.95, "colour": 0.92, "place": 0.95, "time": 0.92, "weather": 0.85, "style": 0.95}


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the list: a full caption, the scene it names, and the seed of the picture's noise."""

    caption: str
    scene: Scene
    seed: int


@dataclass(frozen=True, slots=True)
class Score:
    """Right answers for one attribute, with the share's 95% interval after Wilson (1927)."""

    right: int
    count: int

    @property
    def share(self) -> float:
        return self.right / self.count

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.right, self.count)


def make_list() -> Iterator[Item]:
    """The items of evaluation.csv, as it was made: no scene twice."""
    scenes = dict.fromkeys(scene_at("held-out", FIRST_INDEX + i) for i in range(2 * COUNT))
    for i, scene in enumerate(list(scenes)[:COUNT]):
        yield Item(caption(scene, random.Random(f"evaluation {i}"), full=True), scene, i)


def read_list(path: Path = LIST) -> list[Item]:
    """The 600 items that every figure of the renderer is measured on."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Item(row["caption"], Scene(**{name: row[name] for name in ATTRIBUTES}), int(row["seed"]))
            for row in csv.DictReader(file)
        ]


def write_list(items: Iterable[Item], path: Path = LIST) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["caption", *ATTRIBUTES, "seed"])
        writer.writerows([item.caption, *item.scene.as_dict().values(), item.seed] for item in items)


def score(scenes: list[Scene], readings: list[dict[str, str]]) -> dict[str, Score]:
    """How often the judge read each attribute as the scene has it."""
    pairs = list(zip(scenes, readings, strict=True))
    return {
        name: Score(sum(seen[name] == getattr(scene, name) for scene, seen in pairs), len(pairs)) for name in ATTRIBUTES
    }


def confusions(scenes: list[Scene], readings: list[dict[str, str]], most: int = 5) -> list[tuple[str, str, str, int]]:
    """What was taken for what most often: (attribute, asked for, seen, times), the worst first."""
    counted = Counter(
        (name, getattr(scene, name), seen[name])
        for scene, seen in zip(scenes, readings, strict=True)
        for name in ATTRIBUTES
        if seen[name] != getattr(scene, name)
    )
    return [(*what, times) for what, times in counted.most_common(most)]


@dataclass(frozen=True, slots=True)
class ExpansionScore:
    """What became of expansions of in-world phrases; all but the count are shares, 0 to 1.

    parses: are captions of the world. contradicts: name another value of an attribute than the phrase does.
    adds_two: name two attributes or more that the phrase does not. copied: stand word for word among the texts it was
    trained on. distinct_2: distinct word pairs among all word pairs (Li et al. 2016).
    """

    count: int
    parses: float
    contradicts: float
    adds_two: float
    distinct_2: float
    copied: float


def score_expansions(pairs: list[tuple[str, str]], training_prompts: set[str]) -> ExpansionScore:
    """Score (phrase, expansion) pairs."""
    count = len(pairs)
    readings = [(parse(phrase), parse(text)) for phrase, text in pairs]
    word_pairs = [pair for _, text in pairs for pair in _pairs_of_words(text)]
    return ExpansionScore(
        count=count,
        parses=sum(after.is_caption for _, after in readings) / count,
        contradicts=sum(
            any(after.values.get(name) != values for name, values in before.values.items())
            for before, after in readings
        )
        / count,
        adds_two=sum(len(after.values.keys() - before.values.keys()) >= 2 for before, after in readings) / count,
        distinct_2=len(set(word_pairs)) / max(1, len(word_pairs)),
        copied=sum(text in training_prompts for _, text in pairs) / count,
    )


def phrases(count: int = COUNT) -> list[str]:
    """Fixed in-world phrases that name a subject and at most two attributes more."""
    rng = random.Random("phrases")
    found: list[str] = []
    while len(found) < count:
        text = caption(scene_at("held-out", FIRST_INDEX + rng.randrange(10_000)), rng)
        if parse(text).is_caption and len(parse(text).values) <= 3:
            found.append(text)
    return found


def _pairs_of_words(text: str) -> list[tuple[str, str]]:
    words = text.replace(",", " ").split()
    return list(zip(words, words[1:], strict=False))
