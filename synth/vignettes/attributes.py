"""What a vignette can show: six attributes, their values, and which combinations are never trained on.

A scene is one value of each attribute. 14 x 8 x 6 x 4 x 4 x 6 = 64,512 scenes exist; about one in twenty of them,
chosen by a hash and so the same on every machine, is held out of all training and serves for evaluation.
"""

import hashlib
import random
from dataclasses import asdict, astuple, dataclass

SUBJECTS = (
    "house", "castle", "lighthouse", "sailboat", "tree", "windmill", "hot air balloon",
    "university hall", "rocket", "car", "astronaut", "horse", "flower", "cat",
)  # fmt: skip
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
PLACES = ("sea", "hills", "desert", "city", "forest", "mountains")
TIMES = ("dawn", "noon", "sunset", "night")
WEATHERS = ("clear", "rain", "snow", "fog")
STYLES = ("flat illustration", "watercolor", "pencil sketch", "pixel art", "blueprint", "neon")

ATTRIBUTES = {
    "subject": SUBJECTS,
    "colour": COLOURS,
    "place": PLACES,
    "time": TIMES,
    "weather": WEATHERS,
    "style": STYLES,
}

HELD_OUT_ONE_IN = 20
_WEATHER_WEIGHTS = (0.4, 0.2, 0.2, 0.2)


@dataclass(frozen=True, slots=True)
class Scene:
    """One value of each attribute: all that a caption can say of a vignette."""

    subject: str
    colour: str
    place: str
    time: str
    weather: str
    style: str

    def __post_init__(self) -> None:
        for name, values in ATTRIBUTES.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} {getattr(self, name)!r} is not one of {', '.join(values)}")

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @property
    def held_out(self) -> bool:
        """Whether this combination is kept from all training."""
        digest = hashlib.sha256("|".join(astuple(self)).encode()).digest()
        return int.from_bytes(digest[:4], "big") % HELD_OUT_ONE_IN == 0


def random_scene(rng: random.Random) -> Scene:
    """Any scene, uniform in every attribute but the weather, of which clear is twice as frequent as each other."""
    return Scene(
        subject=rng.choice(SUBJECTS),
        colour=rng.choice(COLOURS),
        place=rng.choice(PLACES),
        time=rng.choice(TIMES),
        weather=rng.choices(WEATHERS, _WEATHER_WEIGHTS)[0],
        style=rng.choice(STYLES),
    )


def training_scene(rng: random.Random) -> Scene:
    """A random scene that is not held out."""
    while (scene := random_scene(rng)).held_out:
        pass
    return scene


def held_out_scene(rng: random.Random) -> Scene:
    """A random scene from the held-out combinations."""
    while not (scene := random_scene(rng)).held_out:
        pass
    return scene
