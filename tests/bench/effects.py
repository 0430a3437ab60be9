"""A phrase-effect study of 8 phrases by 8 seeds: does it render only what is not in the journal, and what does it find?

    python tests/bench/effects.py [--steps 20]

Counted are the pictures written: by the study of the whole prompt, by the effects, by the effects again, and after
three pictures were deleted. Then the judge reads all of them: how often does leaving out an attribute change that
attribute, and how often another one? The last line is JSON.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

import synth
from synth.explain.effects import Effects, effects
from synth.presets import advised
from synth.vignettes.captions import parse
from synth.vignettes.judge import Judge

PHRASE = "a red castle"
PROMPT = f"{PHRASE} by the sea, at night, in the snow, watercolor, soft light, wide view, calm mood, concept art"
SEEDS = 8


def written(folder: Path, before: dict[Path, int]) -> tuple[int, dict[Path, int]]:
    """How many pictures were written since, and when each was."""
    now = {path: path.stat().st_mtime_ns for path in folder.rglob("images/*.png")}
    return sum(before.get(path) != at for path, at in now.items()), now


def changes(found: Effects) -> tuple[float, float]:
    """How often leaving out an attribute's phrase changes the attribute, and how often another one."""
    judge, own, others = Judge.load(), [], []
    before = judge.read(list(found.whole.values()))
    for part, pictures in zip(found.parts, found.without, strict=True):
        after = judge.read([pictures[seed] for seed in found.whole])
        named = parse(part.text).values
        for attribute in before[0]:
            share = np.mean([a[attribute] != b[attribute] for a, b in zip(before, after, strict=True)])
            (own if attribute in named else others).append(share)
    return float(np.mean(own)), float(np.mean(others))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    settings = advised("vignettes").but(steps=parser.parse_args().steps)
    with tempfile.TemporaryDirectory() as out:
        study = synth.study(PHRASE, prompts=[PROMPT], seeds=SEEDS, settings=settings, out=out, progress=False)
        counts, times = {}, {}
        counts["whole"], times = written(study.folder, times)
        started = time.perf_counter()
        found = effects(study, progress=False)
        first = time.perf_counter() - started
        counts["effects"], times = written(study.folder, times)
        started = time.perf_counter()
        effects(study, progress=False)
        second = time.perf_counter() - started
        counts["again"], times = written(study.folder, times)
        for path in sorted((study.folder / "explain").rglob("images/*.png"))[:3]:
            path.unlink()
        effects(study, progress=False)
        counts["after_3_were_deleted"], times = written(study.folder, times)
    print(found.table().to_string())
    own, others = changes(found)
    print(f"{len(found.parts)} phrases by {SEEDS} seeds: {first:.1f} s, again {second:.1f} s")
    print(f"leaving out an attribute changes it in {own:.0%} of pictures, another one in {others:.0%}")
    figures = {"phrases": len(found.parts), "seeds": SEEDS, "rendered": counts}
    print(json.dumps(figures | {"own_attribute_changed": round(own, 3), "others_changed": round(others, 3)}))


if __name__ == "__main__":
    main()
