"""Contact sheets: many pictures on one, with captions."""

import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_MARGIN = 8
_INK = (40, 42, 54)


def contact_sheet(
    images: Sequence[Image.Image],
    captions: Sequence[str],
    columns: int,
    side: int | None = None,
    font_size: int = 11,
    caption_lines: int = 2,
) -> Image.Image:
    """The pictures in rows of `columns`, each `side` pixels wide (its own width if None) above its caption."""
    if not images or len(images) != len(captions):
        raise ValueError(f"a contact sheet needs one caption for each picture, not {len(captions)} for {len(images)}")
    if columns < 1:
        raise ValueError(f"a contact sheet needs at least one column, not {columns}")
    side = side or images[0].width
    font = ImageFont.load_default(font_size)
    line_height = round(font_size * 1.3)
    width, height = side + _MARGIN, side + _MARGIN + caption_lines * line_height
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * width + _MARGIN, rows * height + _MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = _MARGIN + i % columns * width, _MARGIN + i // columns * height
        sheet.paste(image if image.width == side else image.resize((side, side), Image.LANCZOS), (x, y))
        lines = textwrap.wrap(caption, max(8, int(side / (font_size * 0.52))))[:caption_lines]
        for row, line in enumerate(lines):
            pen.text((x, y + side + 2 + row * line_height), line, fill=_INK, font=font)
    return sheet
