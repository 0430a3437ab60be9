"""How good the bundled models are: `synth vignettes evaluate`.

The renderer draws the 600 captions of evaluation.csv at its advised settings and the judge, trained on rendered scenes
alone, says what each picture shows. The judge and the autoencoder are measured on rendered held-out scenes, GPT-2 on
one expansion of each of 600 phrases.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny
from PIL import Image
from tqdm import tqdm

from synth.expansion import expand
from synth.jobs import Job, Settings
from synth.presets import advised, locate, resolve
from synth.rendering import render
from synth.train.arrays import psnr, to_tensor
from synth.train.gpt2 import as_typed, texts_of_step
from synth.vignettes.attributes import ATTRIBUTES
from synth.vignettes.dataset import picture_seed, random_prompt, scene_at
from synth.vignettes.evaluation import (
    BARS,
    ExpansionScore,
    Item,
    Score,
    confusions,
    phrases,
    read_list,
    score,
    score_expansions,
)
from synth.vignettes.judge import Judge
from synth.vignettes.recipe import RECIPES
from synth.vignettes.sheet import contact_sheet
from synth.vignettes.world import draw

PSNR_BAR = 26.0
JUDGE_BAR = 0.98
RENDERED = 500


@dataclass(frozen=True)
class Examination:
    """The figures of the model card.

    drawn: right answers on generated pictures; rendered: the judge's own on held-out rendered scenes; confused: what
    was taken for what most often; vae_psnr: mean over held-out scenes, in dB; expansions: GPT-2's marks.
    """

    settings: Settings
    drawn: dict[str, Score]
    rendered: dict[str, Score]
    confused: list[tuple[str, str, str, int]]
    vae_psnr: float
    expansions: ExpansionScore

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def table(self) -> str:
        """The figures as Markdown, each with its bar."""
        lines = ["| attribute | drawn right | 95% interval | bar | judge on rendered scenes |", "|---|---|---|---|---|"]
        for name in ATTRIBUTES:
            drawn, low, high = self.drawn[name].share, *self.drawn[name].interval
            met = "" if drawn >= BARS[name] else " (missed)"
            lines.append(
                f"| {name} | {drawn:.1%} | {low:.1%} to {high:.1%} | {BARS[name]:.0%}{met} "
                f"| {self.rendered[name].share:.1%} |"
            )
        attribute, asked, seen, times = self.confused[0] if self.confused else ("", "nothing", "nothing", 0)
        count, marks = next(iter(self.drawn.values())).count, self.expansions
        lines += [
            "",
            f"{count} held-out captions at {self.settings.steps} steps of {self.settings.scheduler}, guidance scale "
            f"{self.settings.guidance_scale:g}. "
            f"The confusion that hurts most: {attribute} {asked} seen as {seen} ({times} times).",
            "",
            f"Autoencoder: {self.vae_psnr:.2f} dB PSNR on {RENDERED} held-out scenes (bar {PSNR_BAR:g} dB).",
            "",
            f"GPT-2, {marks.count} expansions: {marks.parses:.1%} are captions of the world, "
            f"{marks.contradicts:.1%} contradict their phrase, {marks.adds_two:.1%} add two attributes or more; "
            f"distinct-2 {marks.distinct_2:.3f}; {marks.copied:.1%} stand word for word in what it was trained on.",
        ]
        return "\n".join(lines)


def examine(
    *,
    model: str = "vignettes",
    expander: str = "vignettes-gpt2",
    settings: Settings | None = None,
    count: int | None = None,
    failures: Path | None = None,
    device: str = "auto",
) -> Examination:
    """Measure a renderer of vignettes, the autoencoder in it, the judge, and an expander.

    count: only the first so many captions and phrases. failures: where to draw a sheet of wrong pictures (a PNG).
    """
    judge, settings = Judge.load(), settings or advised(model)
    items = read_list()[:count]
    pictures = draw_items(items, model, settings, device)
    readings = judge.read(pictures)
    scenes = [item.scene for item in items]
    if failures:
        failure_sheet(items, pictures, readings, failures)
    rendered_scenes = [scene_at("held-out", index) for index in range(RENDERED)]
    rendered = [draw(scene, picture_seed("held-out", index)) for index, scene in enumerate(rendered_scenes)]
    return Examination(
        settings=settings,
        drawn=score(scenes, readings),
        rendered=score(rendered_scenes, judge.read(rendered)),
        confused=confusions(scenes, readings),
        vae_psnr=reconstruction_psnr(model, rendered),
        expansions=examine_expander(expander, phrases()[:count], model, device),
    )


def draw_items(items: Sequence[Item], model: str, settings: Settings, device: str = "auto") -> list[Image.Image]:
    """The model's pictures of the items, in order."""
    reference = resolve(model, "renderer")
    jobs = [Job(phrase=i.caption, prompt=i.caption, seed=i.seed, settings=settings, model=reference) for i in items]
    drawn = {
        result.job.key: result.image for result in tqdm(render(jobs, device=device), total=len(jobs), desc="drawing")
    }
    return [drawn[job.key] or Image.new("RGB", (settings.width, settings.height)) for job in jobs]


@torch.inference_mode()
def reconstruction_psnr(model: str, pictures: Sequence[Image.Image]) -> float:
    """Mean PSNR in dB of the model's autoencoder on pictures."""
    folder = Path(locate(resolve(model, "renderer"), "renderer")) / "vae"
    vae = AutoencoderTiny.from_pretrained(folder, local_files_only=True).eval()
    ratios = []
    for start in range(0, len(pictures), 50):
        real = _tensor(pictures[start : start + 50])
        ratios.append(psnr(vae.decode(vae.encode(real).latents).sample, real))
    return torch.cat(ratios).mean().item()


def examine_expander(expander: str, of: Sequence[str], renderer: str, device: str = "auto") -> ExpansionScore:
    """Marks for one expansion of each phrase, made for a renderer."""
    pairs = [
        (phrase, expand(phrase, 1, model=expander, renderer=renderer, device=device).prompts[0].text)
        for phrase in tqdm(of, desc="expanding")
    ]
    return score_expansions(pairs, training_texts())


def training_texts() -> set[str]:
    """Every text that the bundled GPT-2 was trained on, made again from the recipe."""
    recipe = RECIPES["gpt2"]
    steps = tqdm(range(recipe.steps), desc="making GPT-2's texts again")
    return {given + rest for step in steps for given, rest in texts_of_step(step, recipe, random_prompt, as_typed)}


def failure_sheet(
    items: Sequence[Item], pictures: Sequence[Image.Image], readings: list[dict[str, str]], path: Path
) -> None:
    """The first 24 pictures that are wrong in some attribute, with what was asked for and what was seen."""
    wrong = [
        (
            picture,
            ", ".join(
                f"{getattr(item.scene, name)}: {seen[name]}" for name in ATTRIBUTES if _differs(item, seen, name)
            ),
        )
        for item, picture, seen in zip(items, pictures, readings, strict=True)
        if any(_differs(item, seen, name) for name in ATTRIBUTES)
    ][:24]
    if wrong:
        contact_sheet(*zip(*wrong, strict=True), columns=6, side=160).save(path)


def _differs(item: Item, seen: dict[str, str], name: str) -> bool:
    return seen[name] != getattr(item.scene, name)


def _tensor(pictures: Sequence[Image.Image]) -> torch.Tensor:
    return to_tensor(np.stack([np.asarray(picture) for picture in pictures]))
