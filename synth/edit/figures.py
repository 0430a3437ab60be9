"""Figures of edits, in the look of `synth.plots`: before and after, two wordings, bicubic beside a model."""

from collections.abc import Sequence

from PIL import Image, ImageChops, ImageFilter

from synth.compare.difference import coloured, difference, gain
from synth.compare.pairs import Comparison
from synth.edit.provenance import Edited
from synth.errors import StudyError
from synth.explain.sheets import Cell, Row, sheet
from synth.layout.lettering import Span
from synth.plots import ALARM, INK, MUTED, NotebookFigure
from synth.records.pictures import DAMAGE
from synth.records.sources import kept
from synth.studies import Study

CELL, MOST_ACROSS, MOST_DOWN = 192, 6, 8
OUTLINE = (255, 64, 160)  # of a mask, on the picture


def before_after(painted: Study) -> NotebookFigure:
    """The source of a study, with the mask's outline, beside what each prompt and seed made of it.

    At most 8 prompts and 6 seeds are shown, and the note says so. StudyError where the study has no source.
    """
    frame, job = painted.frame(), painted.jobs[0]
    if not job.source:
        raise StudyError(f"{painted.folder} is drawn over no picture; give a study that is")
    pictures = kept(painted.folder, job)
    source = pictures[job.source].convert("RGB")
    before = outlined(source, pictures[job.mask]) if job.mask else source
    seeds, prompts = painted.plan.seeds[:MOST_ACROSS], painted.plan.prompts[:MOST_DOWN]
    first = Cell(before, _caption("before"))
    rows = [
        Row([first, *(_after(painted, frame, index, seed) for seed in seeds)], _label(prompt))
        for index, prompt in enumerate(prompts)
    ]
    shown = len(seeds) < len(painted.plan.seeds) or len(prompts) < len(painted.plan.prompts)
    note = f"strength {job.settings.strength:g}, {painted.plan.model.name}, {source.width} x {source.height} px"
    note += "; outlined: what was drawn anew" if job.mask else ""
    return sheet(rows, "Before and after", note + "; the rest is in images/" * shown, cell=CELL)


def wordings(found: Comparison, prompts: Sequence[str]) -> NotebookFigure:
    """Pictures of two prompts, seed by seed, and where they differ. At most 6 seeds. StudyError where none is done."""
    if not found.pairs:
        raise StudyError(f"no picture was rendered of both prompts: {'; '.join(found.left_out)}")
    pairs = found.pairs[:MOST_ACROSS]
    both = [pair.pictures() for pair in pairs]
    apart = [difference(*pictures) for pictures in both]
    factor = gain(apart)
    captions = [_caption(pair.label) for pair in pairs]
    first, second = (
        Row([Cell(pictures[side], caption) for pictures, caption in zip(both, captions, strict=True)], _label(prompt))
        for side, prompt in enumerate(prompts)
    )
    between = [Cell(coloured(part, factor), _caption(f"{part.mean():.1f} of 255")) for part in apart]
    top = f"{255 / factor:.0f} of 255 levels{' or more' if factor > 1 else ''}"
    note = f"the same noise down each column; difference: from black, none, to bright, {top}"
    left_out = f"; left out: {'; '.join(found.left_out)}" if found.left_out else ""
    rows = [first, second, Row(between, (Span("difference, and its mean", MUTED),))]
    return sheet(rows, "Which word did that?", note + left_out, cell=CELL)


def enlargement(before: Edited, after: Edited) -> NotebookFigure:
    """A picture enlarged by bicubic interpolation and by a model, whole and a quarter of it close by."""
    size, step = before.image.size, after.steps[-1]
    plain = before.image.resize(after.image.size, Image.Resampling.BICUBIC)
    rows = [
        Row([Cell(picture, _caption(name)), Cell(_close(picture), _caption("close by"))])
        for picture, name in ((plain, "bicubic"), (after.image, step.model.name))
    ]
    note = f"from {size[0]} x {size[1]} to {plain.width} x {plain.height} px"
    return sheet(rows, f"Enlarged {step.scale} times", note, cell=2 * CELL)


def outlined(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """A picture on which the border of a mask's white parts is drawn."""
    wide = max(1, round(max(picture.size) / 128))
    grown = mask.convert("L").filter(ImageFilter.MaxFilter(2 * wide + 1))
    border = ImageChops.subtract(grown, mask.convert("L"))
    return Image.composite(Image.new("RGB", picture.size, OUTLINE), picture, border)


def _after(painted: Study, frame, index: int, seed: int) -> Cell:
    """The picture of a prompt and seed, or why there is none."""
    rows = frame[(frame["prompt_index"] == index) & (frame["seed"] == seed)]
    if rows.empty:
        return Cell(None, _caption(f"seed {seed}: not rendered yet"))
    row, caption = rows.iloc[0], _caption(f"seed {seed}")
    if row["status"] == "done":
        try:
            with Image.open(painted.folder / row["path"]) as picture:
                return Cell(picture.convert("RGB"), caption)
        except DAMAGE:
            return Cell(None, (Span(f"seed {seed}: ", MUTED), Span("file missing or damaged", ALARM)))
    return Cell(None, (Span(f"seed {seed}: ", MUTED), Span(f"failed, {row['error']}", ALARM)))


def _close(picture: Image.Image) -> Image.Image:
    """The middle quarter."""
    width, height = picture.size
    return picture.crop((width // 4, height // 4, width * 3 // 4, height * 3 // 4))


def _caption(text: str) -> tuple[Span, ...]:
    return (Span(text, MUTED),)


def _label(text: str) -> tuple[Span, ...]:
    return (Span(text, INK),)
