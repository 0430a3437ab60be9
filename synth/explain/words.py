"""Words over the picture: which word drew the attention of which pixels, and how much of it all.

Maps and shares are those of DAAM (see `synth.explain.attention`). A word has what its tokens have together. Attention
tells what the network looked at while it drew, which is not quite what it would have drawn otherwise: for that, leave
the word out (`synth.explain.effects`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from tqdm import tqdm

from synth.errors import InputError
from synth.explain.attention import Attention, attend, stages
from synth.explain.studied import jobs_of, sources_of
from synth.jobs import Job, Result, nearest
from synth.records.estimates import check_amount
from synth.studies import Study

WORD = re.compile(r"[^\s,.;:!?()\[\]{}<>|\"“”„«»…、。，；：！？（）]+")


@dataclass(frozen=True)
class Word:
    """A word of a prompt. start, end: its characters; tokens: their numbers; added: by GPT-2, not by the person."""

    text: str
    start: int
    end: int
    tokens: tuple[int, ...]
    added: bool


@dataclass(frozen=True)
class Heat:
    """One picture, and the attention that its pixels paid to the words of its prompt, W of them.

    Words that the text encoder never saw are not among them.
    """

    job: Job
    image: Image.Image
    words: tuple[Word, ...]
    attention: Attention

    def maps(self, *, stage: int | None = None, layers: Sequence[int] | None = None) -> np.ndarray:
        """The attention to each word over the picture, (W, height, width), from 0 to 1.

        Layers count alike, each enlarged to the picture's size (bicubic). stage: 0 to 4, which fifth of the steps; None
        for all. layers: some of them, by their place in `attention.layers`; None for all.
        """
        chosen = range(len(self.attention.layers)) if layers is None else layers
        sums: dict[tuple[int, ...], np.ndarray] = {}  # layers of one size are enlarged together
        for layer in chosen:
            parts = self.attention.maps[layer]
            tokens = np.average(parts, 0, self._lengths) if stage is None else parts[stage]
            words = np.tensordot(self._membership, tokens.astype(np.float32), 1)
            sums[words.shape] = sums.get(words.shape, 0) + words
        return np.clip(sum(map(self._enlarged, sums.values())) / len(chosen), 0, 1)

    def shares(self, *, stage: int | None = None, layers: Sequence[int] | None = None) -> np.ndarray:
        """Each word's share of the attention to words, (W,); the sum is 1. stage, layers: as in `maps`."""
        attention = self._on_words(stage, layers)
        return attention / attention.sum()

    def without_maps(self) -> "Heat":
        """The same without its maps, which are large: shares and what they add up to are there still."""
        return replace(self, attention=replace(self.attention, maps=()))

    @property
    def on_words(self) -> float:
        """How much of all attention goes to words; the rest goes to the marks around the text, and to punctuation."""
        return float(self._on_words(None, None).sum())

    @property
    def added_share(self) -> float:
        """The share of GPT-2's words, from 0 to 1; the person's have the rest."""
        return float(self.shares()[[word.added for word in self.words]].sum())

    @property
    def _membership(self) -> np.ndarray:
        """1 where a token belongs to a word, (W, T)."""
        tokens = np.arange(len(self.attention.spans))
        return np.stack([np.isin(tokens, word.tokens) for word in self.words]).astype(np.float32)

    @property
    def _lengths(self) -> np.ndarray:
        """How many steps each stage has."""
        return np.bincount(stages(len(self.attention.shares)))

    def _on_words(self, stage: int | None, layers: Sequence[int] | None) -> np.ndarray:
        shares = self.attention.shares
        steps = shares if stage is None else shares[stages(len(shares)) == stage]
        chosen = slice(None) if layers is None else list(layers)
        return self._membership @ steps[:, chosen].mean((0, 1))

    def _enlarged(self, maps: np.ndarray) -> np.ndarray:
        size = self.image.height, self.image.width
        return torch.nn.functional.interpolate(torch.from_numpy(maps)[None], size=size, mode="bicubic")[0].numpy()


def heat(jobs: Iterable[Job], **how: Any) -> Iterator[Heat]:
    """Render `jobs` and yield the heat of each picture that does not fail.

    how: as in `synth.rendering.render`. InputError, also for a prompt without a word, before anything is rendered.
    """
    jobs = list(jobs)
    for job in jobs:
        if not WORD.search(job.prompt):
            raise InputError("prompt", job.prompt, "give it a word")
    return _heat(attend(jobs, **how))


def _heat(attended: Iterable[tuple[Result, Attention | None]]) -> Iterator[Heat]:
    for result, attention in attended:
        if result.image is not None and attention is not None:
            words = tuple(word for word in words_of(result.job, attention.spans) if word.tokens)
            yield Heat(result.job, result.image, words, attention)


def study_heat(
    study: Study, prompt_index: int | None = None, *, yes: bool = False, progress: bool = True, **how: Any
) -> Iterator[Heat]:
    """The heat of a study's pictures, those of one prompt or of all, one after another.

    They are rendered again and not kept: InputError for more than 200 pictures without `yes`. Maps take megabytes a
    picture; keep those that are shown, and of the others `Heat.without_maps`. how: device, dtype and batch_size, as
    `synth.study` takes them.
    """
    jobs = jobs_of(study, prompt_index)
    again = replace(study.plan, n=len(jobs) // len(study.plan.seeds), axes=())
    check_amount(again, study.folder.parent, yes)
    heats = heat(jobs, pictures=sources_of(study), strict=study.plan.strict, **how)
    return iter(tqdm(heats, desc="recording", unit=" pictures", total=len(jobs), disable=not progress))


def words_of(job: Job, spans: Sequence[tuple[int, int]]) -> list[Word]:
    """The words of a job's prompt with their tokens; those beyond what the text encoder reads have none.

    spans: of the tokens in the prompt, as in `Attention`. GPT-2's words are those outside the phrase, if the prompt
    contains it.
    """
    first = job.prompt.find(job.phrase)
    own = range(first, first + len(job.phrase)) if first >= 0 else range(len(job.prompt))
    return [
        Word(match[0], match.start(), match.end(), _touching(match.span(), spans), match.start() not in own)
        for match in WORD.finditer(job.prompt)
    ]


def check_words(prompts: Sequence[str], words: Sequence[str]) -> None:
    """InputError, which names the nearest, unless each of `words` is a word of one of the prompts."""
    known = sorted({match[0] for prompt in prompts for match in WORD.finditer(prompt)})
    for word in words:
        if word not in known:
            raise InputError("word", word, f"did you mean {nearest(word, known)!r}? Give a single word of a prompt")


def word_table(heats: Sequence[Heat]) -> pd.DataFrame:
    """A row for each word of each picture: key, prompt, seed, position from 1, word, added, share, on_words."""
    rows = [
        {
            "key": item.job.key, "prompt": item.job.prompt, "seed": item.job.seed, "position": place + 1,
            "word": word.text, "added": word.added, "share": share, "on_words": item.on_words,
        }
        for item in heats
        for place, (word, share) in enumerate(zip(item.words, item.shares().tolist(), strict=True))
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"key": "string", "prompt": "string", "word": "string"})


def _touching(span: tuple[int, int], spans: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(number for number, (start, end) in enumerate(spans) if start < span[1] and end > span[0])
