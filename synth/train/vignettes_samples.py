"""What the UNet in training can draw: a sheet of fixed captions, and how many of their attributes the judge sees."""

from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from synth.vignettes.attributes import ATTRIBUTES
from synth.vignettes.captions import plain_caption
from synth.vignettes.dataset import scene_at
from synth.vignettes.judge import Judge
from synth.vignettes.sheet import contact_sheet

PICTURES = 48
STEPS, GUIDANCE_SCALE = 20, 3.0


def draw_captions(pipeline: StableDiffusionPipeline, captions: list[str], *, batch_size: int = 16) -> list:
    """One 128 px picture for each caption, picture i from seed i."""
    pipeline.set_progress_bar_config(disable=True)
    pictures = []
    for start in range(0, len(captions), batch_size):
        part = captions[start : start + batch_size]
        generators = [torch.Generator().manual_seed(start + i) for i in range(len(part))]
        drawn = pipeline(
            part, num_inference_steps=STEPS, guidance_scale=GUIDANCE_SCALE, generator=generators, height=128, width=128
        )
        pictures += drawn.images
    return pictures


def show(pipeline: StableDiffusionPipeline, judge: Path, path: Path) -> dict[str, float]:
    """Write the sheet; the share of attributes that the judge reads as the caption says, of each attribute."""
    scenes = [scene_at("held-out", index) for index in range(PICTURES)]
    captions = [plain_caption(scene) for scene in scenes]
    pictures = draw_captions(pipeline, captions)
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(pictures, captions, columns=8).save(path)
    readings = Judge.load(judge).read(pictures)
    return {
        f"draws_{name}": sum(seen[name] == getattr(scene, name) for seen, scene in zip(readings, scenes, strict=True))
        / PICTURES
        for name in ATTRIBUTES
    }
