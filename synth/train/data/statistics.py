"""What a prepared set is made of, in numbers."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from synth.train.data.prepared import PreparedSet
from synth.writing.tokens import count_tokens, renderer_tokenizer

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
COMMON_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "from", "in", "is", "it", "its", "of", "on", "or", "the", "to", "with")
)
MOST_USED = 20


@dataclass(frozen=True)
class Statistics:
    """Numbers of a prepared set.

    training, validation: pictures. left_out: pictures by kind of reason, the most frequent first.
    sizes: int64 (n, 2), width and height of the originals. side: of the prepared pictures.
    tokens: int64, of each caption, without start and end; limit: how many the model reads.
    beyond: the words most often behind the limit, and how often. words: those most used at all. Neither has the
    commonest words of English.
    """

    training: int
    validation: int
    left_out: dict[str, int]
    sizes: np.ndarray
    side: int
    tokens: np.ndarray
    limit: int
    beyond: list[tuple[str, int]]
    words: list[tuple[str, int]]

    @property
    def too_long(self) -> int:
        """Captions whose end is never read."""
        return int((self.tokens > self.limit).sum())

    def rows(self) -> list[tuple[str, str]]:
        """What each number is, and the number, to be read by people."""
        pictures = self.training + self.validation
        small = int((self.sizes.min(axis=1) < self.side).sum())
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in self.left_out.items())
        return [
            ("pictures", f"{pictures:,} ({self.training:,} to train on, {self.validation:,} to validate with)"),
            ("left out", f"{sum(self.left_out.values()):,}" + f" ({kinds})" * bool(kinds)),
            ("width", _spread(self.sizes[:, 0], "pixels")),
            ("height", _spread(self.sizes[:, 1], "pixels")),
            ("enlarged", f"{small:,} that had a side under {self.side} pixels"),
            ("captions", f"{len(self.tokens):,} ({len(self.tokens) / pictures:.1f} a picture)"),
            ("caption length", _spread(self.tokens, "tokens")),
            ("too long", f"{self.too_long:,} of more than {self.limit} tokens"),
            ("words unread", _listed(self.beyond) or "none"),
            ("words most used", _listed(self.words)),
        ]


def describe(prepared: PreparedSet, model: str = "vignettes") -> Statistics:
    """The numbers of a prepared set, its captions counted in the tokens of a renderer, named as for `render`."""
    captions = [caption for record in prepared.records for caption in record.captions]
    tokenizer = renderer_tokenizer(model)
    counted = count_tokens(captions, tokenizer)
    return Statistics(
        training=len(prepared.indices("train")),
        validation=len(prepared.indices("validation")),
        left_out=reasons(prepared),
        sizes=np.array([(record.width, record.height) for record in prepared.records]),
        side=prepared.params.size,
        tokens=np.array([number for number, _ in counted]),
        limit=tokenizer.model_max_length - tokenizer.num_special_tokens_to_add(),
        beyond=_telling(unread for _, unread in counted).most_common(MOST_USED),
        words=_telling(captions).most_common(MOST_USED),
    )


def reasons(prepared: PreparedSet) -> dict[str, int]:
    """How many pictures were left out for each kind of reason, the most frequent first."""
    return dict(Counter(reason.partition(":")[0] for _, reason in prepared.left_out).most_common())


def words_in(text: str) -> list[str]:
    """The words of a text in lower case; digits and punctuation are none."""
    return WORD.findall(text.casefold())


def _telling(texts: Iterable[str]) -> Counter[str]:
    return Counter(word for text in texts for word in words_in(text) if word not in COMMON_WORDS)


def _spread(values: np.ndarray, unit: str) -> str:
    if values.min() == values.max():
        return f"{values.min():,} {unit}"
    return f"{values.min():,} to {values.max():,} {unit}, half of them up to {np.median(values):,.0f}"


def _listed(counts: list[tuple[str, int]]) -> str:
    return ", ".join(f"{word} {number:,}" for word, number in counts)
