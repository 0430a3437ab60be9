"""What a renderer makes of the world's words, one attribute at a time: `synth vignettes showcase`."""

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image, ImageDraw, ImageFont

from synth.jobs import Settings
from synth.vignettes.attributes import ATTRIBUTES, Scene
from synth.vignettes.captions import plain_caption
from synth.vignettes.evaluation import Item
from synth.vignettes.examination import draw_items
from synth.vignettes.sheet import contact_sheet

BASE = Scene(
    subject="castle", colour="red", place="hills", time="noon", weather="clear", style="watercolor",
)  # fmt: skip
WIDEST = 8
_HEADING = 30
_INK = (40, 42, 54)


def variations(base: Scene = BASE, seed: int = 0) -> dict[str, list[Item]]:
    """For each attribute an item for each of its values, all else as in `base`, always the same noise."""
    return {
        name: [_item(replace(base, **{name: value}), seed) for value in values] for name, values in ATTRIBUTES.items()
    }


def attribute_sheet(model: str, settings: Settings, *, seed: int = 0, device: str = "auto") -> Image.Image:
    """A contact sheet of what the model draws for every value of every attribute, 42 pictures."""
    groups = variations(seed=seed)
    pictures = iter(draw_items([item for items in groups.values() for item in items], model, settings, device))
    bands = [_band(name, [next(pictures) for _ in items], list(ATTRIBUTES[name])) for name, items in groups.items()]
    sheet = Image.new("RGB", (max(band.width for band in bands), sum(band.height for band in bands)), "white")
    top = 0
    for band in bands:
        sheet.paste(band, (0, top))
        top += band.height
    return sheet


def _item(scene: Scene, seed: int) -> Item:
    return Item(plain_caption(scene), scene, seed)


def _band(name: str, pictures: Sequence[Image.Image], values: Sequence[str]) -> Image.Image:
    columns = -(-len(pictures) // -(-len(pictures) // WIDEST))  # rows of equal length, as far as that goes
    rows = contact_sheet(pictures, values, columns, font_size=13, caption_lines=1)
    band = Image.new("RGB", (rows.width, rows.height + _HEADING), "white")
    ImageDraw.Draw(band).text((8, 8), name, fill=_INK, font=ImageFont.load_default(17))
    band.paste(rows, (0, _HEADING))
    return band
