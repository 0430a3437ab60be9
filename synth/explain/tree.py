"""The expansion tree: what GPT-2 could have said after a phrase, how likely each word was, and what it did say."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from synth.errors import InputError
from synth.explain.next_words import Word, next_words, read_words
from synth.jobs import ModelRef, check_number, check_whole
from synth.models.devices import choose_device
from synth.writing.language import Language, load_language
from synth.writing.prompts import Expansion
from synth.writing.scaffolds import scaffold_for

CERTAIN = 0.9


@dataclass
class Branch:
    """Words that may come next.

    text: as " by the sea", with what stands before it; "" is the end of the prompt.
    chance: its probability after everything before it; whole: from the phrase up to and with it; both 0 to 1.
    prompts: the numbers of the expansion's prompts that go through here; ends: of those that end here.
    branches: what may follow, likeliest first.
    """

    text: str
    chance: float
    whole: float
    prompts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    branches: list["Branch"] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list, repr=False)  # of everything from the phrase up to here

    @property
    def others(self) -> float:
        """The share of all words that are not shown, among those that may follow; 0 where none is shown."""
        return max(0.0, 1 - sum(branch.chance for branch in self.branches)) if self.branches else 0.0

    def leaves(self) -> Iterator["Branch"]:
        """The ends of the tree from here, top to bottom."""
        if not self.branches:
            yield self
        for branch in self.branches:
            yield from branch.leaves()


@dataclass(frozen=True)
class Tree:
    """root: a Branch that holds the phrase; expansion: its prompts are the marked paths; least: as it was grown."""

    root: Branch
    expansion: Expansion
    least: float

    @property
    def model(self) -> ModelRef:
        """The expander."""
        return self.expansion.model

    def rows(self) -> list[dict[str, Any]]:
        """A row for each branch: its text from the phrase on, depth, added words, both probabilities and prompts."""
        return list(_rows(self.root, "", 0))


def grow(
    expansion: Expansion, *, branches: int = 3, depth: int = 6, least: float = 0.004, device: str = "auto"
) -> Tree:
    """The tree of an expansion's phrase, with the paths of its prompts.

    branches: how many words are shown after each, 1 to 10; depth: how many words deep, 1 to 40.
    least: a text is shown if it is at least as probable as this, 0.0001 to 1; those of the prompts always are. So the
    tree has at most 1 / least ends, and those of the prompts.

    Probabilities are the model's own, at temperature 1 without any cut. A word that is all but certain is joined with
    the one before it, and so is the rest of a prompt that nothing branches off from any more.
    InputError where people wrote the prompts.
    """
    check_growth(branches, depth, least)
    if expansion.model is None:
        raise InputError("prompts", expansion[0].text, "give a phrase: only what GPT-2 wrote has other ways to go on")
    phrase = expansion[0].phrase
    language = load_language(expansion.model, choose_device(device))
    grower = _Grower(language, expansion, branches, least)
    root = Branch(phrase, 1.0, 1.0, grower.numbers, tokens=language.encode(phrase))
    layer = [root]
    for level in range(depth):
        layer = grower.extend(layer, level)
    for branch in layer:
        grower.finish(branch, depth)
    for branch in root.branches:
        _join(branch)
    return Tree(root, expansion, least)


def check_growth(branches: int, depth: int, least: float) -> None:
    """InputError for what `grow` does not take."""
    check_whole("branches", branches, 1, 10)
    check_whole("depth", depth, 1, 40)
    check_number("least", least, 0.0001, 1.0)


class _Grower:
    """Adds the words that may follow, and those that the prompts go on with."""

    def __init__(self, language: Language, expansion: Expansion, count: int, least: float) -> None:
        self.language, self.count, self.least = language, count, least
        self.lead = language.lead(scaffold_for(expansion.model.name))
        phrase = expansion[0].phrase
        # One whose phrase a template resolved otherwise, or that something was put before, starts elsewhere.
        self.numbers = [number for number, prompt in enumerate(expansion) if prompt.text.startswith(phrase)]
        self.paths = {number: self._path(phrase, expansion[number].added) for number in self.numbers}

    def extend(self, layer: list[Branch], level: int) -> list[Branch]:
        """Give each branch of a layer its branches; returns those that are to be followed further."""
        chosen = [branch for branch in layer if branch.prompts or branch.whole >= self.least]
        found = next_words(self.language, self.lead, [branch.tokens for branch in chosen], self.count)
        for branch, words in zip(chosen, found, strict=True):
            branch.branches = [_branch(branch, word) for word in words if branch.whole * word.chance >= self.least]
            for number in branch.prompts:
                self._follow(branch, number, level)
            branch.branches.sort(key=lambda item: -item.chance)
        return [item for branch in chosen for item in branch.branches if item.text]

    def finish(self, branch: Branch, depth: int) -> None:
        """Add what is left of each prompt that goes through the last layer."""
        for number in branch.prompts:
            rest = self.paths[number][depth:]
            if rest:
                chance = math.prod(word.chance for word in rest)
                text = "".join(word.text for word in rest)
                branch.branches.append(Branch(text, chance, branch.whole * chance, [number], [number]))
            else:
                branch.ends.append(number)

    def _follow(self, branch: Branch, number: int, level: int) -> None:
        """Mark, or add, the branch that a prompt goes on with."""
        if level == len(self.paths[number]):
            branch.ends.append(number)
            return
        word = self.paths[number][level]
        known = [item for item in branch.branches if item.text == word.text]
        if not known:
            known = [_branch(branch, word)]
            branch.branches += known
        known[0].prompts.append(number)

    def _path(self, phrase: str, added: str) -> list[Word]:
        start = self.language.encode(phrase)
        return read_words(self.language, self.lead, start, self.language.encode(added))


def _branch(parent: Branch, word: Word) -> Branch:
    tokens = [*parent.tokens, *word.tokens]
    return Branch(word.text, word.chance, parent.whole * word.chance, tokens=tokens)


def _join(branch: Branch) -> None:
    """Join a branch with the only one that follows it, where that is all but certain or the rest of a prompt."""
    while len(branch.branches) == 1 and branch.branches[0].text and branch.branches[0].prompts == branch.prompts:
        [only] = branch.branches
        if only.chance < CERTAIN and not branch.prompts:
            break
        branch.text += only.text
        branch.chance *= only.chance
        branch.whole, branch.ends, branch.branches = only.whole, only.ends, only.branches
    for following in branch.branches:
        _join(following)


def _rows(branch: Branch, before: str, depth: int) -> Iterator[dict[str, Any]]:
    text = before + branch.text
    yield {
        "text": text, "depth": depth, "added": branch.text if depth else "", "chance": branch.chance,
        "whole": branch.whole, "prompts": ", ".join(str(number + 1) for number in branch.prompts),
    }  # fmt: skip
    for following in branch.branches:
        yield from _rows(following, text, depth + 1)
