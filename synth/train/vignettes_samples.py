"""What the UNet in training can draw: a sheet of fixed captions, and how many of their attributes the judge sees."""

from pathlib import Path

from diffusers import StableDiffusionPipeline
from PIL import Image

from synth.train.params import Evaluate
from synth.train.samples import draw_captions
from synth.vignettes.attributes import ATTRIBUTES
from synth.vignettes.captions import plain_caption
from synth.vignettes.dataset import SIZE, scene_at
from synth.vignettes.judge import Judge
from synth.vignettes.sheet import contact_sheet

PICTURES = 48


def show(pipeline: StableDiffusionPipeline, judge: Path) -> tuple[Image.Image, dict[str, float]]:
    """The sheet; the share of attributes that the judge reads as the caption says, of each attribute."""
    scenes = [scene_at("held-out", index) for index in range(PICTURES)]
    captions = [plain_caption(scene) for scene in scenes]
    pictures = draw_captions(pipeline, captions, Evaluate(), size=SIZE)
    readings = Judge.load(judge).read(pictures)
    figures = {
        f"draws_{name}": sum(seen[name] == getattr(scene, name) for seen, scene in zip(readings, scenes, strict=True))
        / PICTURES
        for name in ATTRIBUTES
    }
    return contact_sheet(pictures, captions, columns=8), figures
