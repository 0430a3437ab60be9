"""Executed notebooks as web pages: one file that opens offline, in which nothing that a user typed is ever run.

nbconvert would pass scripts through and link to several servers; here a layout of our own has neither, every piece of
HTML is sanitised, and a Content-Security-Policy in the page forbids what might still slip through.
"""

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
    *(
        "a",
        "b",
        "blockquote",
        "br",
        "caption",
        "code",
        "del",
        "details",
        "div",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "hr",
        "li",
    ),
    *("ol", "p", "pre", "span", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul"),
]
ATTRIBUTES = {"*": ["class"], "a": ["href", "class"], "b": ["style"], "del": ["style"]}
STYLES = CSSSanitizer(allowed_css_properties=["color"])
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


def sanitised(html: str) -> str:
    """`html` with the tags and attributes of our own tables only; everything else is escaped, and so visible."""
    return bleach.clean(html, tags=TAGS, attributes=ATTRIBUTES, css_sanitizer=STYLES)


def fill(layout: str, **values: object) -> str:
    """A layout of this package filled in; every value is escaped."""
    environment = Environment(loader=FileSystemLoader(LAYOUTS), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(layout).render(**values)
