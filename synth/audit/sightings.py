"""What was seen when nobody asked for it: one row for each attribute of each text or picture.

On the bundled world, texts are parsed and pictures are read by the judge, and only what the phrase leaves open counts.
Elsewhere pictures have one attribute, the cluster that they fall into.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd

from synth.vignettes.attributes import ATTRIBUTES, training_scene
from synth.vignettes.captions import parse

TEXTS, PICTURES = "GPT-2 adds", "the renderer shows"
STAGES = (TEXTS, PICTURES)
LOOKS = "cluster"  # the attribute of pictures outside the bundled world
WORLD_SCENES = 4000  # that stand for the distribution that the bundled models were trained on
COLUMNS = ["stage", "phrase", "attribute", "value", "seen"]


def of_texts(phrase: str, texts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Rows, as COLUMNS, of what each text adds to its phrase; of two values of one attribute, the first."""
    asked = parse(phrase).values
    for text in texts:
        for name, values in parse(text).values.items():
            if name not in asked:
                yield TEXTS, phrase, name, values[0], text


def of_pictures(phrase: str, readings: Sequence[Mapping[str, str]], paths: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Rows of what the judge read in pictures of a bare phrase."""
    asked = parse(phrase).values
    for reading, path in zip(readings, paths, strict=True):
        yield from ((PICTURES, phrase, name, value, path) for name, value in reading.items() if name not in asked)


def table(rows: Sequence[tuple[str, ...]]) -> pd.DataFrame:
    """Rows as a frame."""
    return pd.DataFrame(rows, columns=COLUMNS).astype("string")


def counted(values: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """How often each of the known values occurs, (V,)."""
    found = pd.Series(values, dtype="string").value_counts()
    return np.array([int(found.get(value, 0)) for value in known])


@cache
def world() -> Mapping[str, np.ndarray]:
    """The neutral baseline of the bundled world: how often each value of an attribute occurs in training scenes."""
    rng = random.Random("audit")
    scenes = [training_scene(rng) for _ in range(WORLD_SCENES)]
    return {name: counted([getattr(scene, name) for scene in scenes], known) for name, known in ATTRIBUTES.items()}
