"""Executed notebooks as slides: one file that opens offline, moved through by keys, finger, wheel or its progress bar.

A heading begins a slide, and so does each further figure under it, with the heading repeated. Code is left out. What a
notebook holds is sanitised as in reports; the one script is ours, and a Content-Security-Policy lets no other run.
"""

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import nbformat
from nbconvert.filters import ansi2html, markdown2html
from PIL import Image

from synth.errors import InputError
from synth.layout.inlining import digest_of
from synth.layout.publishing import LAYOUTS, ONLY_IN_NOTEBOOK, fill, sanitised
from synth.records.files import write_atomically
from synth.records.pictures import DAMAGE

PICTURES = ("image/png", "image/jpeg")
WIDE = 1.8  # width by height of figures that need little room
ROOM = {True: 700, False: 280}  # the most characters of text that leave room for a wide figure, or another one
REMARK = 160  # a longer text after a figure begins a slide
_HEADING = re.compile(r"(#{1,3})\s+(.+?)\s*#*")
_FENCE = re.compile(r"\s*(```|~~~)")


@dataclass
class Slide:
    """heading: a text. kind: "title", "again" where it goes on with a heading, or "". parts: pieces of safe HTML."""

    heading: str
    kind: str = ""
    parts: list[str] = field(default_factory=list)
    characters: int = 0
    pictured: bool = False


def to_slides(notebook: Path, html: Path, *, title: str | None = None) -> int:
    """Write an executed notebook as slides; returns how many there are.

    title: instead of the notebook's first heading. InputError for a file that is no notebook, or was not run.
    """
    content = _read(notebook)
    title = title or _first_heading(content) or notebook.stem
    slides = [Slide(title, "title")]
    for cell in content.cells:
        if ONLY_IN_NOTEBOOK not in cell.metadata.get("tags", []):
            _add(slides, cell)
    script = (LAYOUTS / "slides" / "slides.js").read_text(encoding="utf-8")
    page = fill("slides/index.html.j2", title=title, slides=slides, script=script, script_digest=digest_of(script))
    write_atomically(html, page.encode())
    return len(slides)


def _read(path: Path) -> nbformat.NotebookNode:
    try:
        content = nbformat.read(path, as_version=4)
    except (OSError, ValueError, KeyError, AttributeError, nbformat.ValidationError) as error:
        raise InputError("notebook", str(path), f"give a Jupyter notebook ({type(error).__name__})") from None
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    if code and not any(cell.outputs for cell in code):
        raise InputError("notebook", str(path), f"run it first, as with `papermill {path} executed.ipynb`")
    return content


def _add(slides: list[Slide], cell: nbformat.NotebookNode) -> None:
    """Lay a cell on the last slide, or on new ones after it."""
    if cell.cell_type == "markdown":
        for level, heading, text in _sections(cell.source):
            if level > 1 or (level and len(slides) > 1):
                slides.append(Slide(heading))
            if text.strip():
                _add_text(slides, text)
    elif cell.cell_type == "code":
        for output in cell.outputs:
            _add_output(slides, output, cell.metadata.get("alt", ""))


def _add_text(slides: list[Slide], text: str) -> None:
    if slides[-1].pictured and len(text) > REMARK:
        slides.append(Slide(slides[-1].heading, "again"))
    slides[-1].parts.append(sanitised(markdown2html(text)))
    slides[-1].characters += len(text)


def _add_output(slides: list[Slide], output: nbformat.NotebookNode, alt: str) -> None:
    kind = next((kind for kind in PICTURES if kind in output.get("data", {})), None)
    last = slides[-1]
    if kind is None:
        last.parts += [f'<div class="output">{piece}</div>' for piece in _pieces(output)]
        return
    data = "".join(output.data[kind].split())
    if last.pictured or last.characters > ROOM[_is_wide(data)]:
        slides.append(Slide(last.heading, "again"))
    slides[-1].pictured = True
    picture = f'<img src="data:{kind};base64,{escape(data)}" alt="{escape(alt)}">'
    slides[-1].parts.append(f'<div class="output picture">{picture}</div>')


def _is_wide(data: str) -> bool:
    """Whether a picture in base64 is; a damaged one is not."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            return picture.width >= WIDE * picture.height
    except DAMAGE:
        return False


def _pieces(output: nbformat.NotebookNode) -> Iterator[str]:
    """An output that is no picture as safe HTML; progress and warnings are not for an audience."""
    data = output.get("data", {})
    if "text/html" in data:
        yield sanitised(data["text/html"])
    elif "text/markdown" in data:
        yield sanitised(markdown2html(data["text/markdown"]))
    elif "text/plain" in data or output.get("name") == "stdout":
        yield f"<pre>{escape(data.get('text/plain') or output.text)}</pre>"
    elif output.output_type == "error":
        yield f"<pre>{sanitised(ansi2html(chr(10).join(output.traceback)))}</pre>"


def _sections(source: str) -> Iterator[tuple[int, str, str]]:
    """The parts of a Markdown text that its headings divide it into: level (0: before the first), heading and text."""
    level, heading, lines, fenced = 0, "", [], False
    for line in source.splitlines():
        fenced ^= bool(_FENCE.match(line))
        found = None if fenced else _HEADING.fullmatch(line)
        if found:
            yield level, heading, "\n".join(lines)
            level, heading, lines = len(found[1]), _plain(found[2]), []
        else:
            lines.append(line)
    yield level, heading, "\n".join(lines)


def _first_heading(content: nbformat.NotebookNode) -> str:
    cells = [cell for cell in content.cells if cell.cell_type == "markdown"]
    found = (heading for cell in cells for level, heading, _ in _sections(cell.source) if level == 1)
    return next(found, "")


def _plain(heading: str) -> str:
    """A heading's Markdown as plain text."""
    return re.sub(r"[*`]|(?<!\w)_|_(?!\w)|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
