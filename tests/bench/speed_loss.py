"""What the speeds of the bundled model cost: its pictures of held-out captions, against those of 50 steps.

    python tests/bench/speed_loss.py [--count 600] [--model vignettes] [--baselines 6,5]

For 50 steps of the scheduler that "exact" has, for the same scheduler at fewer steps, and for each speed: how many of
the captions the judge reads off the pictures, attribute by attribute, and KID against drawn scenes of these captions by
the bundled CLIP. A value is not measurably worse while it lies within the 95% interval of that of 50 steps. The last
line is JSON.
"""

import argparse
import json

import numpy as np
from PIL import Image

from synth.measure.clip import Clip
from synth.measure.intervals import Figure
from synth.measure.kid import kid
from synth.presets import SPEEDS, advised
from synth.vignettes.dataset import picture_seed
from synth.vignettes.evaluation import FIRST_INDEX, Item, Score, read_list, score
from synth.vignettes.examination import draw_items
from synth.vignettes.judge import Judge
from synth.vignettes.world import draw

Found = tuple[dict[str, Score], Figure]


def scenes_of(items: list[Item]) -> list[Image.Image]:
    """Each item's scene as the world draws it."""
    return [draw(item.scene, picture_seed("held-out", FIRST_INDEX + number)) for number, item in enumerate(items)]


def worse(found: Found, reference: Found) -> list[str]:
    """What lies on the wrong side of the reference's interval."""
    marks, distance = found
    names = [name for name, mark in marks.items() if mark.share < reference[0][name].interval[0]]
    return names + (["kid"] if distance.value > reference[1].high else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--model", default="vignettes")
    parser.add_argument("--baselines", default="6,5", help="steps of plain diffusers that might do")
    options = parser.parse_args()
    items, judge, clip = read_list()[: options.count], Judge.load(), Clip.load()
    real = clip.features(scenes_of(items))
    exact = advised(options.model, "exact")
    compared = {f"{steps} steps": exact.but(steps=steps) for steps in (50, *map(int, options.baselines.split(",")))}
    compared |= {speed: advised(options.model, speed) for speed in SPEEDS}
    found: dict[str, Found] = {}
    for name, settings in compared.items():
        pictures = draw_items(items, options.model, settings, "cpu")
        marks = score([item.scene for item in items], judge.read(pictures))
        found[name] = marks, kid(real, clip.features(pictures))
        right = ", ".join(f"{attribute} {mark.right}" for attribute, mark in marks.items())
        lost = worse(found[name], found["50 steps"])
        print(f"{name}: {right} of {len(items)}; {found[name][1]}; measurably worse: {', '.join(lost) or 'nothing'}")
    print(json.dumps({
        name: {
            "right": {attribute: mark.right for attribute, mark in marks.items()},
            "accuracy": round(float(np.mean([mark.share for mark in marks.values()])), 4),
            "kid": [round(value, 5) for value in (distance.value, distance.low, distance.high)],
            "worse": worse((marks, distance), found["50 steps"]),
        }
        for name, (marks, distance) in found.items()
    }))  # fmt: skip


if __name__ == "__main__":
    main()
