"""Report pages: self-contained, sanitised, and proved so in a browser where there is one."""

import html.parser
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from synth.layout.publishing import fill, sanitised, to_html, without_progress

ATTACKS = [
    "<script>document.title = 'run'</script>",
    "<img src=x onerror=\"document.title = 'run'\">",
    "<svg onload=\"document.title = 'run'\"></svg>",
    "<iframe srcdoc=\"<script>parent.document.title = 'run'</script>\"></iframe>",
    "<a href=\"javascript:document.title = 'run'\">link</a>",
    '<b style="background:url(https://example.com/x)" onclick="x()">b</b>',
    '<link rel="stylesheet" href="https://example.com/x.css"><style>@import "https://example.com/y.css";</style>',
    "</title></style></textarea><script>document.title = 'run'</script>",
]
TITLE = "phrase " + ATTACKS[0]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page made from a notebook in which every kind of cell and output is hostile."""
    folder = tmp_path_factory.mktemp("page")
    v4 = nbformat.v4
    outputs = [
        v4.new_output("display_data", {kind: "\n".join(ATTACKS)})
        for kind in ("text/html", "text/markdown", "text/plain")
    ]
    outputs += [
        v4.new_output("display_data", {"application/javascript": "document.title = 'run'"}),
        v4.new_output("display_data", {"image/svg+xml": ATTACKS[2]}),
        v4.new_output("stream", name="stdout", text=ATTACKS[0]),
        v4.new_output("stream", name="stderr", text=ATTACKS[1]),
        v4.new_output("error", ename="E", evalue=ATTACKS[0], traceback=[ATTACKS[0]]),
        v4.new_output("display_data", {"image/png": "iVBORw0KGgo="}),
    ]
    cells = [
        v4.new_markdown_cell("\n\n".join([*ATTACKS, "![x](https://example.com/x.png)", "## A heading"])),
        v4.new_raw_cell(ATTACKS[0], metadata={"raw_mimetype": "text/html"}),
        v4.new_code_cell("\n".join(ATTACKS), outputs=outputs),
        v4.new_markdown_cell("not for readers", metadata={"tags": ["notebook-only"]}),
    ]
    nbformat.write(v4.new_notebook(cells=cells), folder / "n.ipynb")
    to_html(folder / "n.ipynb", folder / "page.html", title=TITLE)
    return folder / "page.html"


class Elements(html.parser.HTMLParser):
    """Every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_a_page_has_no_script_and_fetches_nothing(page):
    text = page.read_text()
    for tag, attributes in Elements(text).found:
        assert tag not in ("script", "iframe", "link", "object", "embed", "base", "svg")
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("src") or "data:").startswith("data:")
        assert not (attributes.get("href") or "").startswith("javascript")
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert styles and "@import" not in styles and "url(" not in styles
    assert "default-src 'none'" in text


def test_what_was_typed_is_shown(page):
    text = page.read_text()
    assert "<title>phrase &lt;script&gt;" in text and "<h1>phrase &lt;script&gt;" in text
    assert "<h2" in text and "A heading" in text
    assert "not for readers" not in text


def test_our_own_tables_pass_unharmed():
    cell = '<td><del style="color: red;"><b>x</b></del></td>'
    table = f'<table class="facts"><caption>t</caption><tbody><tr><th>a</th>{cell}</tr></tbody></table>'
    assert sanitised(table) == table
    assert "style" not in sanitised('<p style="position:fixed">x</p>')


def test_layouts_escape_every_value():
    line = {
        "title": ATTACKS[0],
        "parameters": ATTACKS[1],
        "status": "done",
        "remark": "",
        "link": "a/b.html",
        "thumbnails": [],
    }
    page = fill("batch/index.html.j2", title=ATTACKS[0], lines=[line])
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page


def titled_by_a_browser(page: Path) -> str:
    """The title of a page after a browser has loaded it and run what it may run."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent}/profile"]
    command += ["--virtual-time-budget=1000", "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    return re.search(r"<title>(.*?)</title>", dom, re.DOTALL)[1]


def test_a_browser_runs_nothing_of_it(page, tmp_path):
    (tmp_path / "unsafe.html").write_text("<title>x</title>" + ATTACKS[0])
    assert titled_by_a_browser(tmp_path / "unsafe.html") == "run"
    assert titled_by_a_browser(page).startswith("phrase &lt;script&gt;")


def test_progress_bars_leave_no_trace_and_messages_stay(tmp_path):
    notebook = nbformat.v4.new_notebook()
    bars = ["\rrendering:   0%|", "\rrendering: 100%|##| 4/4", "\n", "a note\n", "\r   ", "\r"]
    outputs = [nbformat.v4.new_output("stream", name="stderr", text=text) for text in bars]
    outputs.insert(3, nbformat.v4.new_output("stream", name="stdout", text="a result\n"))
    notebook.cells = [nbformat.v4.new_code_cell("1", outputs=outputs)]
    nbformat.write(notebook, tmp_path / "executed.ipynb")
    without_progress(tmp_path / "executed.ipynb")
    [cell] = nbformat.read(tmp_path / "executed.ipynb", as_version=4).cells
    assert [(output.name, output.text) for output in cell.outputs] == [("stderr", "a note\n"), ("stdout", "a result\n")]
