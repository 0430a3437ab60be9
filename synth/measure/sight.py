"""What is measured: the finished pictures of a study, read from their files as often as a measure wants to see them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from synth.errors import StudyError
from synth.measure.clip import BATCH, Clip
from synth.measure.reference import Reference
from synth.models.weights import digest
from synth.records.pictures import read_picture
from synth.vignettes.judge import WEIGHTS, Judge

if TYPE_CHECKING:
    import pandas

    from synth.studies import Study


class Sight:
    """The finished pictures of a study and their texts, in the order of `rows`, and what models say of them.

    Each model looks once. A group is all pictures that share their place on the study's axes; where it has none, all
    pictures are one group. StudyError where no picture is finished, and later, where one is missing or damaged.
    """

    def __init__(self, study: "Study", clip: str, reference: Reference | None, device: str, progress: bool) -> None:
        self.rows, self.reference = finished(study), reference
        self._folder, self._clip, self._device, self._progress = study.folder, clip, device, progress
        self._axes = [axis.name for axis in study.plan.axes]
        cells = study.coordinates().set_index("key").loc[self.rows["key"], self._axes]
        self._groups = _places_of_equals(cells.itertuples(index=False, name=None))

    @property
    def group(self) -> str:
        """What a group is, to be stated beside what was measured of it."""
        return f"each {' and '.join(self._axes)}" if self._axes else "the study"

    def pictures(self, purpose: str) -> Iterator[Image.Image]:
        """One picture after another; purpose: what for, to be told beside the progress."""
        paths = tqdm(self.rows["path"], desc=purpose, unit=" pictures", disable=not self._progress, leave=False)
        for path in paths:
            yield read_picture(self._folder / path).image

    def by_group(self, values: Callable[[list[int]], Sequence]) -> list:
        """For each picture what `values` gives it, called with the places in `rows` of one group after another."""
        found = [None] * len(self.rows)
        for places in self._groups:
            for place, value in zip(places, values(places), strict=True):
                found[place] = value
        return found

    def of_group(self, value: Callable[[list[int]], Any]) -> list:
        """For each picture the one value of its group."""
        return self.by_group(lambda places: [value(places)] * len(places))

    def texts(self, places: Sequence[int]) -> list[tuple[str, str]]:
        """Phrase and prompt of the pictures at some places in `rows`, each pair once."""
        rows = self.rows.iloc[list(places)]
        return list(dict.fromkeys(zip(rows["phrase"], rows["prompt"], strict=True)))

    @cached_property
    def clip(self) -> Clip:
        """The CLIP that was asked for."""
        return Clip.load(self._clip, self._device)

    @cached_property
    def vectors(self) -> np.ndarray:
        """CLIP's vectors of the pictures, of length 1, (n, D)."""
        return self.clip_vectors(self.pictures("CLIP"))

    def clip_vectors(self, pictures: Iterable[Image.Image]) -> np.ndarray:
        """CLIP's vectors of any pictures, of length 1, (n, D)."""
        return np.concatenate([self.clip.embed_pictures(batch) for batch in _batches(pictures)])

    def text_vectors(self, texts: Sequence[str]) -> np.ndarray:
        """CLIP's vectors of texts, of length 1, (n, D); each text is read once."""
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        return self.clip.embed_texts(list(places))[[places[text] for text in texts]]

    @cached_property
    def readings(self) -> list[dict[str, str]]:
        """What the bundled world's judge reads in each picture: attribute -> value."""
        judge = Judge.load()
        return [reading for batch in _batches(self.pictures("judge")) for reading in judge.read(batch)]

    @property
    def judge(self) -> str:
        """What pins the judge."""
        return f"vignettes-judge {digest(WEIGHTS)}"


def finished(study: "Study") -> "pandas.DataFrame":
    """The rows of a study's pictures that are done. StudyError where there is none."""
    frame = study.frame()
    rows = frame[frame["status"] == "done"].reset_index(drop=True)
    if rows.empty:
        raise StudyError(f"{study.folder} has no finished picture; `synth log {study.folder}` says why")
    return rows


def _batches(pictures: Iterable[Image.Image]) -> Iterator[list[Image.Image]]:
    """Pictures, as many at a time as the models look at together."""
    pictures = iter(pictures)
    while batch := list(islice(pictures, BATCH)):
        yield batch


def _places_of_equals(items: Iterable[tuple]) -> list[list[int]]:
    """For each different item, where it and its equals stand."""
    places: dict[tuple, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(item, []).append(place)
    return list(places.values())
