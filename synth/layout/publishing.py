"""Executed notebooks as web pages: one file that opens offline, in which nothing that a user typed is ever run.

nbconvert would pass scripts through and link to several servers; here a layout of our own has neither, every piece of
HTML is sanitised, and a Content-Security-Policy in the page forbids what might still slip through.
"""

import re
from pathlib import Path

import bleach
import nbformat
from bleach.css_sanitizer import CSSSanitizer
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from nbconvert import HTMLExporter
from traitlets.config import Config

from synth.records.files import write_atomically

LAYOUTS = Path(__file__).parent / "templates"
TAGS = [
    "a", "b", "blockquote", "br", "caption", "code", "del", "details", "div", "em", "h1", "h2", "h3", "h4", "hr", "li",
    "ol", "p", "pre", "span", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul",
]  # fmt: skip
ATTRIBUTES = {"*": ["class"], "a": ["href", "class"], "b": ["style"], "del": ["style"]}
STYLES = CSSSanitizer(allowed_css_properties=["color"])
_OVERWRITTEN = re.compile(r"\r[^\r\n]*")
ONLY_IN_NOTEBOOK = "notebook-only"  # the tag of cells that a reader of the page has no use for


def to_html(notebook: Path, html: Path, *, title: str) -> None:
    """Write an executed notebook as a self-contained page: sanitised, no script, nothing fetched, pictures embedded."""
    config = Config()
    config.HTMLExporter.preprocessors = ["nbconvert.preprocessors.TagRemovePreprocessor"]
    config.TagRemovePreprocessor.remove_cell_tags = {ONLY_IN_NOTEBOOK}
    exporter = HTMLExporter(
        config=config, template_name="report", extra_template_basedirs=[str(LAYOUTS)], sanitize_html=True
    )
    exporter.register_filter("clean_html", sanitised)
    page, _ = exporter.from_notebook_node(nbformat.read(notebook, as_version=4), {"metadata": {"name": title}})
    write_atomically(html, page.encode())


def without_progress(notebook: Path) -> None:
    """Take progress bars out of an executed notebook: what a cell wrote over itself is no message when it is done."""
    content = nbformat.read(notebook, as_version=4)
    for cell in content.cells:
        if cell.cell_type == "code":
            messages = "".join(output.text for output in cell.outputs if _is_message(output))
            lasting = _OVERWRITTEN.sub("", messages).strip()
            kept = [nbformat.v4.new_output("stream", name="stderr", text=lasting + "\n")] if lasting else []
            cell.outputs = kept + [output for output in cell.outputs if not _is_message(output)]
    write_atomically(notebook, nbformat.writes(content).encode())


def _is_message(output: nbformat.NotebookNode) -> bool:
    return output.output_type == "stream" and output.name == "stderr"


def sanitised(html: str) -> str:
    """`html` with the tags and attributes of our own tables only; everything else is escaped, and so visible."""
    return bleach.clean(html, tags=TAGS, attributes=ATTRIBUTES, css_sanitizer=STYLES)


def fill(layout: str, **values: object) -> str:
    """A layout of this package filled in; every value is escaped."""
    environment = Environment(loader=FileSystemLoader(LAYOUTS), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(layout).render(**values)
