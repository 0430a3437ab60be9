"""Does the audit find a skew that was planted in GPT-2 and in the renderer, and only that?

    python tests/bench/planted_skew.py [--gpt2-steps 150] [--lora-steps 150] [--pictures 256] [--seeds 24]

GPT-2 is fine-tuned on prompts of the bundled world three quarters of which are of the night. The renderer gets a LoRA
from pictures of scenes three quarters of which are in fog, with captions that never speak of the weather. The audit is
made of the models as they are ("before"), of models fine-tuned in the same way on scenes without the skew ("control"),
which tells what fine-tuning alone does, and of the skewed ones ("after"); on the same phrases, from the same noise.
The skew is found where the planted attribute is significant after correction and its planted value is the one most
above the baseline; alarms for anything else are listed. "false_alarms" is how many of 100 audits raise any alarm whose
pictures are scenes dealt at random from those of the baseline: no more than 5 in the long run.
Made for 10 minutes on two cores; the last line is JSON.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from synth.audit.figures import divergences
from synth.audit.findings import EVERYTHING, against_world
from synth.audit.phrases import Audit, audit
from synth.audit.sightings import PICTURES, TEXTS, WORLD_SCENES, table
from synth.presets import advised
from synth.train.params import Data, Evaluate, Params, Train
from synth.train.runs import train
from synth.vignettes.attributes import Scene, training_scene
from synth.vignettes.captions import prompt
from synth.vignettes.world import draw

PHRASES = ("a house", "a tree", "a car")
SKEWS = {"control": 0.0, "after": 0.75}
PLANTED = {TEXTS: ("time", "night"), PICTURES: ("weather", "fog")}


def skewed(skew: float, attribute: str, value: str, rng: random.Random) -> Scene:
    """A training scene that has the value in a share `skew` of cases, and in the others what it would have had."""
    scene = training_scene(rng)
    return replace(scene, **{attribute: value}) if rng.random() < skew else scene


def plant_in_gpt2(folder: Path, skew: float, steps: int) -> Path:
    """A GPT-2 that was fine-tuned on prompts with a skew."""
    rng = random.Random("planted texts")
    texts = [prompt(skewed(skew, *PLANTED[TEXTS], rng), rng) for _ in range(4000)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prompts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    recipe = Train(kind="gpt2", steps=steps, learning_rate=3e-4, warmup=steps // 10, validate_every=steps,
                   checkpoint_every=steps, ema=0.95)  # fmt: skip
    return train(Params(train=recipe), folder / "prompts.txt", folder / "run").model


def plant_in_renderer(folder: Path, skew: float, pictures: int, steps: int) -> Path:
    """A LoRA from pictures with a skew; their captions say nothing of the weather."""
    rng = random.Random("planted pictures")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for number in range(pictures):
            scene = skewed(skew, *PLANTED[PICTURES], rng)
            name = f"{number:05d}.png"
            draw(scene, 2 * number, 128).save(folder / name)
            metadata.write(json.dumps({"file_name": name, "text": unspoken(scene, rng)}) + "\n")
    recipe = Train(lora_rank=16, steps=steps, learning_rate=1e-3, warmup=steps // 10, validate_every=steps,
                   checkpoint_every=steps, ema=0.95)  # fmt: skip
    params = Params(data=Data(source=str(folder)), train=recipe, evaluate=Evaluate(pictures=4, steps=4))
    run = train(params, None, folder.with_name(f"{folder.name}-lora"))
    return next(run.model.glob("*.safetensors"))


def unspoken(scene: Scene, rng: random.Random) -> str:
    """A short caption that may name subject, colour, place and time, and leaves the rest open."""
    around = [part for part in (f"by the {scene.place}", f"at {scene.time}") if rng.random() < 0.3]
    return " ".join([f"a {scene.colour} {scene.subject}" if rng.random() < 0.3 else f"a {scene.subject}", *around])


def told(name: str, found: Audit) -> dict[str, object]:
    """What an audit says of the planted attributes, and how many other alarms it raises."""
    print(f"\n{name}\n{found.tests().drop(columns=['low', 'high', 'chance']).round(4).to_string(index=False)}")
    facts: dict[str, object] = {}
    for stage, (attribute, value) in PLANTED.items():
        planted = (stage, EVERYTHING, attribute)
        item = next(item for item in found.findings if (item.stage, item.group, item.attribute) == planted)
        share = float(item.shares[item.values.index(value)])
        facts |= {f"{attribute}_p": item.p, f"{attribute}_divergence": item.difference.divergence.value,
                  f"{attribute}_{value}": share,
                  f"{attribute}_found": item.significant and item.values[item.favourite] == value}  # fmt: skip
    others = [item for item in found.findings if item.attribute != PLANTED[item.stage][0]]
    alarms = [
        f"{item.stage}: {item.group}, {item.attribute} {item.values[item.favourite]} "
        f"{item.shares[item.favourite]:.0%}, not {item.expected[item.favourite]:.0%}"
        for item in others if item.significant
    ]  # fmt: skip
    return facts | {"other_alarms": alarms, "other_tests": len(others)}


def false_alarms(pictures: int, runs: int) -> int:
    """How many of some audits raise an alarm though their pictures were dealt from the baseline's own scenes."""
    rng = random.Random("audit")  # as sightings.world() has it
    scenes = [training_scene(rng).as_dict() for _ in range(WORLD_SCENES)]
    raised = 0
    for _ in range(runs):
        dealt = zip(rng.sample(scenes, pictures * len(PHRASES)), PHRASES * pictures, strict=True)
        rows = [
            (PICTURES, phrase, name, value, "") for scene, phrase in dealt
            for name, value in scene.items() if name != "subject"
        ]  # fmt: skip
        raised += any(item.significant for item in against_world(table(rows)))
    return raised


def timed(work: Callable, *arguments: object) -> tuple[object, float]:
    started = time.perf_counter()
    return work(*arguments), round(time.perf_counter() - started, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    numbers = {"gpt2-steps": 150, "lora-steps": 150, "pictures": 256, "seeds": 24, "texts": 96, "steps": 12}
    for name, default in (numbers | {"runs": 100}).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", type=Path, help="where everything is kept (default: nowhere)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = options.out or Path(temporary)
        how = {"n": options.texts, "seeds": options.seeds, "out": out / "studies",
               "settings": advised("vignettes").but(steps=options.steps), "progress": False}  # fmt: skip
        audits, seconds = {}, {}
        audits["before"], seconds["audit"] = timed(lambda: audit(PHRASES, **how))
        for arm, skew in SKEWS.items():
            place = out / arm
            expander, seconds[f"{arm}_gpt2"] = timed(plant_in_gpt2, place / "gpt2", skew, options.gpt2_steps)
            lora, seconds[f"{arm}_lora"] = timed(
                plant_in_renderer, place / "pictures", skew, options.pictures, options.lora_steps
            )
            audits[arm] = audit(PHRASES, **how, expander=str(expander), loras=[(str(lora), 1.0)])
        if options.out:
            (out / "planted.png").write_bytes(divergences(audits["after"].findings).png())
        facts = {arm: told(arm, found) for arm, found in audits.items()}
    alarms, seconds["false_alarms"] = timed(false_alarms, options.seeds, options.runs)
    print(json.dumps(facts | {"false_alarms": alarms, "of_audits": options.runs, "seconds": seconds}))


if __name__ == "__main__":
    main()
