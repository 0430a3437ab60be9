"""What one visitor has on the page: prompts, the study that is shown, and what was opened of it. Streamlit-free."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from synth.errors import SynthError
from synth.page.chores import Chore, Tell, sentence
from synth.page.following import Following
from synth.page.joined import joined
from synth.page.pictures import keep
from synth.serve.answers import Expanded, Heat, Measured, Offered, State
from synth.writing.prompts import CHOSEN, NOT_CHOSEN, Prompt

SIDES = 2  # pictures are compared in pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the fields of the page say. settings: only what is not to be as advised."""

    phrase: str = ""
    model: str = "vignettes"
    expander: str = "vignettes-gpt2"
    n: int = 4
    seeds: int = 4
    seed: int = 0
    speed: str = "quality"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Line:
    """A prompt in the list. number: its own, whatever its place."""

    number: int
    prompt: Prompt
    pinned: bool = False
    edited: bool = False


class Visit:
    """A visitor. session: the name under which the service knows them. troubles: by part of the page, one sentence.

    replaced: the numbers of the lines that GPT-2 writes anew, None where it writes a new list.
    """

    def __init__(self, session: str) -> None:
        self.session, self.client = session, joined().client(session)
        self.phrase = ""
        self.lines: list[Line] = []
        self.candidates: list[Prompt] = []
        self.writing: Chore[Expanded] | None = None
        self.following: Following | None = None
        self.opened, self.sides = "", []
        self.heats: dict[str, Chore[Heat]] = {}
        self.measuring: Chore[list[Measured]] | None = None
        self.troubles: dict[str, str] = {}
        self._offered: Offered | None = None
        self._numbers, self._rolls = itertools.count(), 0
        self.replaced: set[int] | None = None
        self.picture = lru_cache(maxsize=8)(lambda study, key: keep(self.client.picture(study, key)))

    def close(self) -> None:
        """The visitor is gone: nobody is to listen any longer. What is asked just now may end, so the client stays."""
        if self.following is not None:
            self.following.stop()

    def tried(self, part: str, call: Callable[[], Any]) -> Any:
        """What a call returns; None where it fails, and then `troubles[part]` says why."""
        self.troubles.pop(part, None)
        try:
            return call()
        except SynthError as error:
            self.troubles[part] = sentence(error)
            return None

    def offered(self) -> Offered | None:
        """What the service offers; None while it does not answer."""
        if self._offered is None:
            self._offered = self.tried("service", self.client.offered)
        return self._offered

    def studies(self) -> list[State]:
        """All studies of this visitor, the latest first."""
        return self.tried("studies", self.client.studies) or []

    def expand(self, wish: Wish) -> None:
        """Have GPT-2 write a new list."""
        self.lines, self.candidates, self._rolls, self.replaced = [], [], 0, None
        self.phrase = wish.phrase.strip()
        self._write(wish, wish.n, wish.seed)

    def reroll(self, wish: Wish, numbers: set[int]) -> None:
        """Have GPT-2 write others in the place of some lines, with a new seed."""
        if numbers and self.writing is None:
            self._rolls += 1
            self.replaced = numbers
            most = self._offered.limits["pictures"]
            self._write(wish, min(len(self.lines) + len(numbers), most), wish.seed + self._rolls)

    def settle(self) -> bool:
        """Put what GPT-2 has finished into the list; whether there was something."""
        chore = self.writing
        if chore is None or chore.busy:
            return False
        self.writing = None
        self.troubles["prompts"] = chore.trouble
        if chore.result is not None:
            self._take(chore.result)
        return True

    def line(self, number: int) -> Line | None:
        """A line of the list by its number; None where it was removed meanwhile."""
        return next((line for line in self.lines if line.number == number), None)

    def add(self, prompt: Prompt) -> None:
        """Another line at the end."""
        self.lines.append(Line(next(self._numbers), prompt))

    def render(self, wish: Wish) -> None:
        """Have the list rendered."""
        prompts = [line.prompt.text for line in self.lines]
        how = {"seeds": wish.seeds, "seed": wish.seed, "model": wish.model, "speed": wish.speed}
        phrase = self.phrase or None
        ask = lambda: self.client.render(prompts, phrase=phrase, settings=wish.settings, **how)  # noqa: E731
        state = self.tried("render", ask)
        if state is not None:
            self.show(state.id)

    def show(self, study: str) -> None:
        """Show a study, and follow it."""
        if self.following is not None:
            self.following.stop()
        self.following = Following(joined().client(self.session), study)
        self.opened, self.sides, self.heats, self.measuring = "", [], {}, None

    def reopen(self, state: State) -> None:
        """Show a study of earlier with its prompts."""
        self.phrase, self.lines, self.candidates, self.writing = state.phrase, [], [], None
        for prompt in (self.tried("studies", lambda: self.client.drawn(state.id).prompts)) or []:
            self.add(prompt.but(phrase=state.phrase) if state.phrase in prompt.text else prompt)
        self.show(state.id)

    def open(self, key: str) -> None:
        """Look closer at a picture."""
        self.opened = key
        if key in self.heats and self.heats[key].trouble:
            del self.heats[key]  # perhaps it goes well this time

    def compare(self, key: str) -> None:
        """Choose a picture for the comparison, or no longer; a third takes the place of the first."""
        others = [side for side in self.sides if side != key]
        self.sides = others if key in self.sides else [*others, key][-SIDES:]

    def heat(self, key: str) -> Chore[Heat]:
        """Which word drew what in a picture, some time."""
        if key not in self.heats:
            study = self.following.study
            self.heats[key] = Chore(lambda tell: self.client.words(study, key))
        return self.heats[key]

    def measure(self) -> None:
        """Have the study measured."""
        study = self.following.study
        self.measuring = Chore(lambda tell: self.client.measure(study))

    def _write(self, wish: Wish, n: int, seed: int) -> None:
        self.troubles.pop("prompts", None)
        how = {"n": n, "seed": seed, "expander": wish.expander, "model": wish.model}
        phrase = self.phrase

        def work(tell: Tell) -> Expanded:
            for event in self.client.expanding(phrase, **how):
                if event.kind == "drawn":
                    tell(event.data)
            return Expanded.read(event.data)

        self.writing = Chore(work)

    def _take(self, found: Expanded) -> None:
        if self.replaced is None:
            for prompt in found.prompts:
                self.add(prompt)
        else:
            known = {line.prompt.text for line in self.lines}
            fresh = (prompt for prompt in found.prompts if prompt.text not in known)
            self.lines = [self._fresh(line, fresh) if line.number in self.replaced else line for line in self.lines]
        self.candidates = [prompt for prompt in found.candidates if prompt.fate in (CHOSEN, NOT_CHOSEN)]

    def _fresh(self, line: Line, prompts: Any) -> Line:
        prompt = next(prompts, None)
        return line if prompt is None else Line(next(self._numbers), prompt)
