"""Captions of vignettes: how a scene is put into words, and how words are read back as a scene.

Every word that the bundled models were trained on stands in this file. `caption` speaks, `parse` listens: whatever
`caption` says of a scene, `parse` reads as that scene's values, and a word that neither knows is named by
`unknown_words`.
"""

import random
import re
from dataclasses import dataclass
from functools import cache

from synth.vignettes.attributes import ATTRIBUTES, Scene

# The first wording of each value is the plain one.
WORDINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "subject": {
        "house": ("house", "cottage", "little house"),
        "castle": ("castle", "old castle"),
        "lighthouse": ("lighthouse", "tall lighthouse"),
        "sailboat": ("sailboat", "sailing boat", "boat"),
        "tree": ("tree", "big tree"),
        "windmill": ("windmill", "old windmill"),
        "hot air balloon": ("hot air balloon", "balloon"),
        "university hall": ("university hall", "university", "university building"),
        "rocket": ("rocket", "space rocket", "rocket ship"),
        "car": ("car", "little car"),
        "astronaut": ("astronaut", "astronaut in a space suit"),
        "horse": ("horse", "proud horse"),
        "flower": ("flower", "big flower"),
        "cat": ("cat", "sitting cat"),
    },
    "colour": {colour: (colour,) for colour in ATTRIBUTES["colour"]},
    "place": {
        "sea": ("by the sea", "at the ocean", "on the coast"),
        "hills": ("in the hills", "among rolling hills", "in the countryside"),
        "desert": ("in the desert", "among sand dunes", "among desert dunes"),
        "city": ("in the city", "in a big city", "downtown"),
        "forest": ("in the forest", "in a pine forest", "in the woods"),
        "mountains": ("in the mountains", "before high mountains", "among mountain peaks"),
    },
    "time": {
        "dawn": ("at dawn", "at sunrise", "in the early morning"),
        "noon": ("at noon", "at midday", "in bright daylight"),
        "sunset": ("at sunset", "at dusk", "in the evening"),
        "night": ("at night", "by moonlight", "at midnight"),
    },
    "weather": {
        "clear": ("under a clear sky", "in clear weather", "in fine weather"),
        "rain": ("in the rain", "in heavy rain", "on a rainy day"),
        "snow": ("in the snow", "in falling snow", "while it is snowing"),
        "fog": ("in the fog", "in thick fog", "in the mist"),
    },
    "style": {
        "flat illustration": ("flat illustration", "vector illustration", "flat design"),
        "watercolor": ("watercolor", "watercolor painting", "watercolour"),
        "pencil sketch": ("pencil sketch", "pencil drawing", "coloured pencil drawing"),
        "pixel art": ("pixel art", "8 bit pixel art", "retro pixel art"),
        "blueprint": ("blueprint", "technical blueprint", "blueprint drawing"),
        "neon": ("neon", "neon lights", "glowing neon"),
    },
}

# Single words that people type instead of the wordings above; understood, and taught to the models as short captions.
KEYWORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "place": {
        "sea": ("sea", "ocean", "coast", "seaside"),
        "hills": ("hills", "hill", "countryside"),
        "desert": ("desert", "dunes"),
        "city": ("city", "town"),
        "forest": ("forest", "woods"),
        "mountains": ("mountains", "mountain", "peaks"),
    },
    "time": {
        "dawn": ("dawn", "sunrise", "morning"),
        "noon": ("noon", "midday", "daylight", "day"),
        "sunset": ("sunset", "dusk", "evening"),
        "night": ("night", "midnight", "moonlight"),
    },
    "weather": {
        "clear": ("clear", "clear sky"),
        "rain": ("rain", "rainy", "raining"),
        "snow": ("snow", "snowy", "snowing", "snowfall"),
        "fog": ("fog", "foggy", "mist", "misty"),
    },
    "style": {"neon": ("neon sign",), "pencil sketch": ("sketch", "pencil"), "watercolor": ("watercolour painting",)},
}

FLAVOURS = (
    "highly detailed", "soft light", "beautiful", "calm mood", "wide view", "elegant", "concept art", "award winning",
    "storybook", "soft colours", "dreamy", "very sharp", "a lovely scene", "cinematic", "peaceful", "postcard",
)  # fmt: skip

OPENERS = ("a picture of", "an image of", "a view of", "a scene with", "imagine")

CONNECTIVES = frozenset(
    [
        "a",
        "an",
        "the",
        "one",
        "of",
        "in",
        "on",
        "at",
        "by",
        "with",
        "and",
        "over",
        "under",
        "near",
        "style",
        "scene",
        "picture",
        "image",
        "view",
        "this",
    ]
)

_PREPOSITIONS = frozenset(["among", "at", "before", "by", "in", "on", "under"])
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


def caption(scene: Scene, rng: random.Random, *, full: bool = False) -> str:
    """One way of saying what the scene shows, in lower case.

    With `full`, all six attributes are named. Otherwise about a quarter of the captions are full, most leave out some
    attributes, and one in six says only one or two things.
    """
    named = set(ATTRIBUTES) if full else _attributes_to_name(rng)
    said = {name: rng.choice(WORDINGS[name][getattr(scene, name)]) for name in ATTRIBUTES if name in named}
    if not full and len(named) <= 2 and rng.random() < 0.5:
        return _keywords(scene, said, rng)
    body = _with_style(said, rng)
    if rng.random() < 0.08 and "style" not in said:
        body = f"{rng.choice(OPENERS)} {body}"
    if rng.random() < 0.2:
        body = ", ".join([body, *rng.sample(FLAVOURS, rng.randint(1, 2))])
    return body


def plain_caption(scene: Scene) -> str:
    """The plain full caption: "a red castle by the sea at night in the rain, watercolor"."""
    said = {name: WORDINGS[name][getattr(scene, name)][0] for name in ATTRIBUTES}
    return f"{_head(said)} {said['place']} {said['time']} {said['weather']}, {said['style']}"


def prompt(scene: Scene, rng: random.Random) -> str:
    """A long caption of the kind people give to picture models: fragments in almost any order, then flavour words.

    Half of them begin with a whole `caption`, however short, and go on with what it left unsaid. Whatever a phrase
    names, the text goes on with two attributes more, if so many are left, and never names one twice.
    """
    if rng.random() < 0.5:
        begun = caption(scene, rng)
        return _joined([begun, *_unsaid(scene, begun, rng)], rng)
    left_out = {rng.choice(("colour", "place", "time", "weather", "style"))} if rng.random() < 0.3 else set()
    fragments = _fragments(scene, set(ATTRIBUTES) - left_out, rng)
    return _joined(fragments + _flavours(rng), rng)


def _unsaid(scene: Scene, begun: str, rng: random.Random) -> list[str]:
    """Fragments for what a caption does not name; a colour only with its subject, since it cannot stand alone."""
    named = parse(begun).values.keys()
    names = [name for name in ATTRIBUTES if name not in named and not (name == "colour" and "subject" in named)]
    if len(names) > 2 and named >= {"subject", "colour"} and rng.random() < 0.3:
        names.remove(rng.choice(names))
    return _fragments(scene, set(names), rng) + [words for words in _flavours(rng) if words not in begun]


def _fragments(scene: Scene, names: set[str], rng: random.Random) -> list[str]:
    """A fragment for each of the named attributes, subject and colour as one; mostly the style comes last."""
    said = {name: _worded(scene, name, rng) for name in ATTRIBUTES if name in names}
    around = [said[name] for name in ("place", "time", "weather") if name in said]
    rng.shuffle(around)
    if "style" in said:
        around.insert(len(around) if rng.random() < 0.7 else rng.randint(0, len(around)), said["style"])
    if "subject" not in said:
        return around
    head = _head(said, rng.choice(("a", "a", "a", "a", "the", "one", "")))
    around.insert(0 if rng.random() < 0.75 else rng.randint(0, len(around)), head)
    return around


def _worded(scene: Scene, name: str, rng: random.Random) -> str:
    value = getattr(scene, name)
    keywords = KEYWORDS.get(name, {}).get(value)
    return rng.choice(keywords if keywords and rng.random() < 0.1 else WORDINGS[name][value])


def _flavours(rng: random.Random) -> list[str]:
    return rng.sample(FLAVOURS, rng.randint(1, 3)) if rng.random() < 0.6 else []


def _joined(fragments: list[str], rng: random.Random) -> str:
    """Fragments with commas between them, sometimes none before a few words that begin with a preposition."""
    text = fragments[0]
    for fragment in fragments[1:]:
        flows = fragment.split()[0] in _PREPOSITIONS and rng.random() < 0.35
        text += f" {fragment}" if flows else f", {fragment}"
    return text


def _attributes_to_name(rng: random.Random) -> set[str]:
    kind = rng.random()
    if kind < 0.25:
        return set(ATTRIBUTES)
    if kind < 0.84:
        named = {name for name in ATTRIBUTES if rng.random() < 0.72}
        return named | {"subject"} if rng.random() < 0.97 else named or {"place"}
    if kind < 0.96:
        return {"subject", rng.choice(("colour", "place", "time", "weather", "style"))}
    return {rng.choice(("subject", "subject", "place", "time", "weather", "style"))}


def _keywords(scene: Scene, said: dict[str, str], rng: random.Random) -> str:
    words = [
        rng.choice(KEYWORDS[name][getattr(scene, name)])
        if name != "style" and name in KEYWORDS and rng.random() < 0.7
        else text
        for name, text in said.items()
    ]
    rng.shuffle(words)
    return rng.choice((" ", ", ")).join(words)


def _head(said: dict[str, str], article: str = "a") -> str:
    words = " ".join(said[name] for name in ("colour", "subject") if name in said)
    return f"{_article(words) if article == 'a' else article} {words}".strip() if words else ""


def _article(words: str) -> str:
    return "an" if words[0] in "aeio" else "a"


def _body(said: dict[str, str], rng: random.Random, *, subject_first: bool) -> str:
    """Subject and surroundings: "a red castle by the sea, at night", or the surroundings first."""
    head = _head(said, rng.choice(("a", "a", "a", "a", "the", "one"))) if "subject" in said else said.get("colour", "")
    around = [said[name] for name in ("place", "time", "weather") if name in said]
    if rng.random() < 0.4:
        rng.shuffle(around)
    comma = rng.choice((" ", ", "))
    if head and around and not subject_first and rng.random() < 0.15:
        return f"{' '.join(around)}, {head}"
    return comma.join(part for part in (head, *around) if part)


def _with_style(said: dict[str, str], rng: random.Random) -> str:
    style = said.get("style")
    form = rng.random()
    style_of = bool(style) and "subject" in said and form < 0.3
    body = _body(said, rng, subject_first=style_of)
    if not style or not body:
        return style or body
    if style_of:
        return f"{style} of {body}" if form < 0.15 else f"{_article(style)} {style} of {body}"
    if form < 0.85:
        return f"{body}, {style}"
    return f"{body} in {style} style" if form < 0.93 else f"{style}, {body}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says in the world's words.

    values: attribute -> the values named, in order of first mention; two of one attribute contradict each other.
    unknown: words, as typed, that the world has no use for.
    """

    values: dict[str, tuple[str, ...]]
    unknown: tuple[str, ...]

    @property
    def is_caption(self) -> bool:
        """Whether the text is a caption of the world: a subject, no unknown word, no contradiction."""
        return "subject" in self.values and not self.unknown and all(len(v) == 1 for v in self.values.values())


def parse(text: str) -> Reading:
    """Read a text: at each word the longest known wording is taken."""
    words = [match.group() for match in _WORD.finditer(text)]
    lowered = [word.lower() for word in words]
    values: dict[str, list[str]] = {}
    unknown: list[str] = []
    at = 0
    while at < len(words):
        length, meaning = _longest_match(lowered, at)
        if meaning is not None:
            name, value = meaning
            if value not in values.setdefault(name, []):
                values[name].append(value)
        elif not length:
            unknown.append(words[at])
        at += max(length, 1)
    return Reading({name: tuple(found) for name, found in values.items()}, tuple(unknown))


def unknown_words(text: str) -> list[str]:
    """The words of a text, as typed and each once, that the bundled models were never taught."""
    return list(dict.fromkeys(parse(text).unknown))


def _longest_match(words: list[str], at: int) -> tuple[int, tuple[str, str] | None]:
    """Words matched from `at` and what they mean: (attribute, value), or None for words without an own meaning."""
    lexicon = _lexicon()
    for length in range(min(_longest_wording(), len(words) - at), 0, -1):
        wording = tuple(words[at : at + length])
        if wording in lexicon:
            return length, lexicon[wording]
    return 0, None


@cache
def _lexicon() -> dict[tuple[str, ...], tuple[str, str] | None]:
    meanings: dict[tuple[str, ...], tuple[str, str] | None] = {(word,): None for word in CONNECTIVES}
    meanings["space", "suit"] = None  # "a red astronaut at night, in a space suit": part of a wording, said apart
    for words in (*FLAVOURS, *OPENERS):
        meanings[tuple(words.split())] = None
    for table in (KEYWORDS, WORDINGS):
        for name, values in table.items():
            for value, wordings in values.items():
                for wording in wordings:
                    meanings[tuple(wording.split())] = (name, value)
    return meanings


@cache
def _longest_wording() -> int:
    return max(len(wording) for wording in _lexicon())
