"""What an expansion is made of: prompts, and where each came from.

It knows no model: an expansion that was saved can be read, compared and rendered on a machine without GPT-2.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from synth.errors import InputError
from synth.jobs import ExpansionSettings, ModelRef, check_text, nearest

CHOSEN, NOT_CHOSEN, EMPTY, BANNED = "chosen", "not chosen", "empty", "banned word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt and its origin.

    text: what the renderer is given; phrase: the user's words in it, after templates were resolved.
    candidate: its number k among all that were drawn, from 0.
    logprob: of the tokens that GPT-2 added and that are still in the text, in nats, under the model's own distribution
        (no temperature, no cut); None where a person wrote the prompt. new_tokens: how many tokens those are.
    renderer_tokens: of the whole text in the renderer's tokenizer, without start and end.
    truncated: the end of the text that the renderer will never see, usually "".
    fate: "chosen", "not chosen", "near-duplicate of <k>", "empty" (GPT-2 added no word) or "banned word".
    """

    text: str
    phrase: str
    candidate: int = 0
    logprob: float | None = None
    new_tokens: int = 0
    renderer_tokens: int = 0
    truncated: str = ""
    fate: str = CHOSEN

    @property
    def opening(self) -> str:
        """The text before the phrase: "" unless it was woven in."""
        return self.text.partition(self.phrase)[0]

    @property
    def added(self) -> str:
        """The text after the phrase."""
        return self.text.partition(self.phrase)[2]

    @property
    def kept(self) -> str:
        """The text that the renderer sees: `kept + truncated == text`."""
        return self.text.removesuffix(self.truncated)

    @property
    def mean_logprob(self) -> float | None:
        """Nats per added token, or None where there is none."""
        return None if self.logprob is None or not self.new_tokens else self.logprob / self.new_tokens

    @property
    def perplexity(self) -> float | None:
        """exp(-mean_logprob), 1 or more: how many tokens GPT-2 hesitated between on average."""
        return None if self.mean_logprob is None else math.exp(-self.mean_logprob)

    def but(self, **changes: Any) -> Self:
        """A copy with some values changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion(Sequence[Prompt]):
    """The prompts made from one phrase, in the order they were chosen, and all candidates they were chosen from.

    model, settings and seed are None where people wrote the prompts themselves; phrase is then "".
    """

    phrase: str
    prompts: tuple[Prompt, ...]
    candidates: tuple[Prompt, ...] = ()
    model: ModelRef | None = None
    settings: ExpansionSettings | None = None
    seed: int | None = None

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index):
        return self.prompts[index]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The expansion that `as_dict` described, also after a round through JSON."""
        model, settings = data["model"], data["settings"]
        if model is not None:
            model = ModelRef(**model | {"loras": tuple((path, weight) for path, weight in model["loras"])})
        return cls(
            phrase=data["phrase"],
            prompts=tuple(Prompt(**item) for item in data["prompts"]),
            candidates=tuple(Prompt(**item) for item in data["candidates"]),
            model=model,
            settings=None if settings is None else ExpansionSettings(**settings),
            seed=data["seed"],
        )


def read_prompts(path: Path | str) -> list[str]:
    """The prompts in a UTF-8 file: each line of a .txt, or the column `prompt` of a .csv; blank ones are skipped.

    Raises InputError for a file that is missing, empty, of another kind, not UTF-8, or without that column.
    """
    path = Path(path)
    readers = {".txt": str.splitlines, ".csv": _prompt_column}
    if path.suffix.lower() not in readers:
        raise InputError("prompts", str(path), "give a .txt with a prompt a line, or a .csv with the column prompt")
    try:
        lines = readers[path.suffix.lower()](path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError("prompts", str(path), f"give a file that can be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError("prompts", str(path), "save the file as UTF-8 text") from error
    return check_prompts([line for line in lines if line.strip()], source=str(path))


def check_prompts(texts: Sequence[str], *, source: str = "") -> list[str]:
    """`texts` with their ends stripped; InputError if there is none, or one is not usable or stands twice."""
    if isinstance(texts, str):
        raise InputError("prompts", texts, "give a list of texts, or the path of a .txt or .csv file to read_prompts")
    prompts = [check_text("prompts", text).strip() for text in texts]
    if not prompts:
        raise InputError("prompts", source or texts, "give at least one prompt")
    places: dict[str, int] = {}
    for place, prompt in enumerate(prompts, start=1):
        first = places.setdefault(prompt, place)
        if first != place:
            raise InputError("prompts", prompt, f"give it once; it stands at {first} and at {place}")
    return prompts


def _prompt_column(text: str) -> list[str]:
    rows = csv.DictReader(text.splitlines(keepends=True))
    columns = rows.fieldnames or []
    if "prompt" not in columns:
        found = f"the nearest is {nearest('prompt', list(columns))!r}" if columns else "it has none"
        raise InputError("prompts", ",".join(columns), f"give the table a column named 'prompt'; {found}")
    return [row["prompt"] or "" for row in rows]
