"""From a phrase to prompts, with GPT-2.

The flow: resolve the phrase (templates) -> draw candidates, 32 at once (sampling) -> make each a tidy line (scaffolds)
-> count its tokens for the renderer (tokens) -> choose (selection).

Candidate k depends on the phrase, the settings that steer drawing, the model, the seed and k alone. Block b always
holds the candidates 32b to 32b + 31 and is computed in one batch of 32; the noise of each candidate comes from a
generator of its own. So neither n, nor the pool, nor earlier calls change a candidate, and the global generators rest.

What can be relied on: on one machine with one set of library versions a candidate is the same every time. Elsewhere,
or with another number of threads, the network's logits may be rounded otherwise in their last bits. A token changes by
that only if its noise falls within about 1e-6 of the border between two, and with it the rest of that one candidate.
"""

import random
import re
import warnings
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from time import monotonic
from typing import NoReturn

import torch
from transformers import PreTrainedTokenizerBase

from synth import presets
from synth.errors import InputError
from synth.jobs import MAX_SEED, MAX_TEXT, ExpansionSettings, ModelRef, check_text, check_whole, content_key
from synth.models.devices import choose_device
from synth.writing.language import JOINTS, Language, load_language
from synth.writing.prompts import BANNED, EMPTY, NOT_CHOSEN, Expansion, Prompt, check_prompts, read_prompts
from synth.writing.sampling import Drawn, decode
from synth.writing.scaffolds import Tidy, scaffold_for, tidy
from synth.writing.selection import BLOCK, Selection
from synth.writing.templates import Template
from synth.writing.tokens import TruncationWarning, count_tokens, renderer_tokenizer

__all__ = ["Expansion", "Prompt", "TruncationWarning", "count_tokens", "expand", "own_prompts", "read_prompts"]

MAX_PROMPTS = 1000
OPENER_TOKENS = 12
WATCHED = 8  # candidates of a block whose texts are told while they are written
PAUSE = 0.1  # seconds between two times that they are
Progress = Callable[[int, list[str]], None]
_NOT_FOR_DRAWING = ("pool", "diversity", "template")  # a template tells through the phrase it is resolved to


def expand(
    phrase: str,
    n: int = 4,
    *,
    seed: int = 0,
    settings: ExpansionSettings = ExpansionSettings(),
    model: str = "vignettes-gpt2",
    renderer: str = "vignettes",
    device: str = "auto",
    progress: Progress | None = None,
) -> Expansion:
    """`n` distinct prompts (1 to 1,000) that begin with the phrase, its ends stripped, and how they were found.

    Asking for more prompts extends the list and changes none of those already there (see `Selection`).

    model: an expander's preset, hub id, folder or checkpoint. renderer: whose tokenizer counts; it is not loaded.
    progress: called about ten times a second, and after each block, with the number of candidates drawn so far and the
    first 8 texts of the block in hand, as far as they are written. It changes nothing of what is written.

    With `settings.weave`, GPT-2 first writes an opener of up to 12 tokens; if it comes to " of", " showing",
    " featuring" or " depicting", the phrase is put there, as in "a watercolor of a red house"; if not, the prompt
    begins with the phrase.

    Raises InputError for a value that cannot be used, also a phrase too long for the model or a model so sure of itself
    that it has fewer than `n` distinct things to say; ModelError for a model that cannot be loaded. Warns once, with a
    TruncationWarning, if chosen prompts are longer than the renderer reads.
    """
    phrase = check_text("phrase", phrase).strip()
    check_whole("n", n, 1, MAX_PROMPTS)
    check_whole("seed", seed, 0, MAX_SEED)
    phrase_of = partial(Template(phrase).resolve, seed) if settings.template else lambda k: phrase
    reference = presets.resolve(model, "expander")
    tokenizer = renderer_tokenizer(renderer)
    language = load_language(reference, choose_device(device))
    writer = _Writer(phrase_of, settings, seed, reference, language, progress)

    def draw(block: int) -> list[Prompt]:
        prompts = _counted(writer.draw(block), tokenizer)
        if progress:
            progress(BLOCK * (block + 1), [prompt.text for prompt in prompts[:WATCHED]])
        return prompts

    selection = Selection(draw, pool=settings.pool, diversity=settings.diversity, typed=phrase)
    chosen = [selection.choose() or _too_few(selection, n) for _ in range(n)]
    _warn_of_truncation(chosen)
    return Expansion(
        phrase=phrase, prompts=tuple(chosen), candidates=tuple(selection.candidates),
        model=reference, settings=settings, seed=seed,
    )  # fmt: skip


def own_prompts(texts: Sequence[str], *, renderer: str = "vignettes") -> Expansion:
    """An expansion made of prompts that people wrote: in their order, each its own phrase, without GPT-2.

    Raises InputError if there is none, or one is empty, too long or stands twice. Warns like `expand`.
    """
    prompts = [Prompt(text=text, phrase=text, candidate=k) for k, text in enumerate(check_prompts(texts))]
    prompts = _counted(prompts, renderer_tokenizer(renderer))
    _warn_of_truncation(prompts)
    return Expansion(phrase="", prompts=tuple(prompts), candidates=tuple(prompts))


class _Writer:
    """Draws blocks of candidates; `phrase_of(k)` is the phrase of candidate k."""

    def __init__(
        self,
        phrase_of: Callable[[int], str],
        settings: ExpansionSettings,
        seed: int,
        model: ModelRef,
        language: Language,
        progress: Progress | None,
    ) -> None:
        self.phrase_of, self.settings, self.language, self.progress = phrase_of, settings, language, progress
        self.told = 0.0  # when the texts so far were told, on the clock of `monotonic`
        self.scaffold = scaffold_for(model.name)
        self.lead = language.lead(self.scaffold)
        self.banned = language.banned(settings.banned_words)
        drawing = {name: value for name, value in asdict(settings).items() if name not in _NOT_FOR_DRAWING}
        self.origin = [model.digest or model.revision or model.name, drawing, seed]

    def draw(self, block: int) -> list[Prompt]:
        """The candidates of a block, in order."""
        numbers = range(BLOCK * block, BLOCK * (block + 1))
        phrases = [self.phrase_of(k) for k in numbers]
        for phrase in set(phrases):
            self._check_length(phrase)
        origins = [content_key([phrase, *self.origin, k]) for phrase, k in zip(phrases, numbers, strict=True)]
        generators = [random.Random(origin) for origin in origins]
        openers = self._openers(generators) if self.settings.weave else [""] * BLOCK
        heads = [opener + phrase for opener, phrase in zip(openers, phrases, strict=True)]
        starts = [self.language.encode(head) for head in heads]
        watch = self.progress and partial(self._watch, numbers[0], heads, starts)
        drawn = self._decode(starts, generators, self.settings.max_new_tokens, self._barred(heads), watch)
        return [self._prompt(*parts) for parts in zip(numbers, phrases, heads, starts, drawn, strict=True)]

    def _check_length(self, phrase: str) -> None:
        limit, new = self.language.limit, self.settings.max_new_tokens
        size = len(self.lead) + OPENER_TOKENS * self.settings.weave + len(self.language.encode(phrase))
        if limit is None or size + new <= limit:
            return
        advice = "shorten it" if size + 4 > limit else f"shorten it, or set max_new_tokens to {limit - size} or less"
        name = self.language.name
        raise InputError(
            "phrase", phrase, f"{advice}: it takes {size} tokens, {new} are to be added, {name} reads {limit}"
        )

    def _openers(self, generators: list[random.Random]) -> list[str]:
        """For each row what GPT-2 says before the phrase, with a space at its end, or ""."""
        drawn = self._decode([[]] * BLOCK, generators, OPENER_TOKENS, barred=None, watch=None)
        return [self._opener(row) for row in drawn]

    def _opener(self, drawn: Drawn) -> str:
        joints = [place for place, token in enumerate(drawn.tokens) if self.language.joints[token]]
        if not joints:
            return ""
        raw = self.language.continuation([], drawn.tokens[: joints[0] + 1])
        opener = tidy(raw, complete=True, prose=bool(self.scaffold), room=MAX_TEXT).text.strip()
        return opener + " " if opener.endswith(tuple(f" {joint}" for joint in JOINTS)) else ""

    def _decode(
        self,
        starts: list[list[int]],
        generators: list[random.Random],
        length: int,
        barred: torch.Tensor | None,
        watch: Callable[[Callable[[], list[Drawn]]], None] | None,
    ) -> list[Drawn]:
        language = self.language
        noise = torch.tensor([[generator.random() for _ in range(length)] for generator in generators])
        return decode(
            language.network,
            self.lead,
            starts,
            noise.to(language.device),
            self.settings,
            stops=language.stops,
            barred=barred,
            banned=self.banned,
            watch=watch,
        )

    def _watch(
        self, candidates: int, heads: list[str], starts: list[list[int]], so_far: Callable[[], list[Drawn]]
    ) -> None:
        """Tell the texts so far, if that was not done just now."""
        if monotonic() < self.told + PAUSE:
            return
        rows = list(zip(heads, starts, so_far(), strict=True))[:WATCHED]
        self.progress(candidates, [row[0] + self._added(*row, complete=True).text for row in rows])
        self.told = monotonic()

    def _barred(self, heads: list[str]) -> torch.Tensor:
        """Bool (B, V), what must not come first: an end, or what makes another word of the last ("car" -> "carpet").

        To forbid the end costs nothing: candidates that add nothing would be rejected, so the rest is drawn as before.
        """
        in_word = torch.tensor([head[-1:].isalnum() for head in heads], device=self.language.device)
        return self.language.stops | in_word[:, None] & self.language.inner

    def _prompt(self, k: int, phrase: str, head: str, start: list[int], drawn: Drawn) -> Prompt:
        added, used = self._added(head, start, drawn, complete=drawn.complete)
        tokens = self._tokens_for(used, start, drawn.tokens)
        fate = (
            EMPTY if not added else BANNED if self._says_banned_word(head.removesuffix(phrase) + added) else NOT_CHOSEN
        )
        logprob = sum(drawn.logprobs[:tokens])
        return Prompt(text=head + added, phrase=phrase, candidate=k, logprob=logprob, new_tokens=tokens, fate=fate)

    def _added(self, head: str, start: list[int], drawn: Drawn, *, complete: bool) -> Tidy:
        raw = self.language.continuation(start, drawn.tokens)
        return tidy(raw, complete=complete, prose=bool(self.scaffold), room=max(0, MAX_TEXT - len(head)))

    def _tokens_for(self, used: int, start: list[int], tokens: list[int]) -> int:
        """How many of the tokens spell the first `used` characters."""

        def spelled(count: int) -> int:
            return len(self.language.continuation(start, tokens[:count]).rstrip("\ufffd"))  # half a character

        return bisect_left(range(len(tokens)), used, key=spelled)

    def _says_banned_word(self, text: str) -> bool:
        words = "|".join(re.escape(word.strip()) for word in self.settings.banned_words)
        return bool(words and re.search(rf"(?<!\w)(?:{words})(?:'?s|es|ed|ing)?(?!\w)", text, re.IGNORECASE))


def _counted(prompts: list[Prompt], tokenizer: PreTrainedTokenizerBase) -> list[Prompt]:
    counts = count_tokens([prompt.text for prompt in prompts], tokenizer)
    pairs = zip(prompts, counts, strict=True)
    return [prompt.but(renderer_tokens=size, truncated=end) for prompt, (size, end) in pairs]


def _too_few(selection: Selection, n: int) -> NoReturn:
    found, drawn = len(selection.chosen), len(selection.candidates)
    if not found:
        remedy = "change it, raise temperature, top_k or top_p, or render it as a prompt of your own"
        raise InputError("phrase", selection.typed, f"none of {drawn} candidates adds a word to it; {remedy}")
    remedy = f"ask for at most {found}, or raise temperature, top_k or top_p"
    raise InputError("n", n, f"only {found} distinct among {drawn} candidates; {remedy}")


def _warn_of_truncation(prompts: Sequence[Prompt]) -> None:
    long = [prompt for prompt in prompts if prompt.truncated]
    if long:
        warnings.warn(
            f"the renderer never sees the end of {len(long)} of {len(prompts)} prompts, as {long[0].truncated[:60]!r}",
            TruncationWarning,
            stacklevel=3,
        )
