"""Slides: what is on which, that nothing is fetched or run but our own script, and that a browser shows them."""

import base64
import hashlib
import html.parser
import io
import re
import shutil
import subprocess

import nbformat
import pytest
from PIL import Image
from test_publishing import ATTACKS

from synth.errors import InputError
from synth.layout.slides import to_slides

v4 = nbformat.v4


def png(width, height):
    data = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def figure(width=600, height=200):
    return v4.new_output("display_data", {"image/png": png(width, height), "text/plain": "<Figure>"})


class Slides(html.parser.HTMLParser):
    """The sections of a page: their class, headings, texts and pictures; and all tags."""

    def __init__(self, text):
        super().__init__()
        self.found, self.tags, self.inside = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = tag
        if tag == "section":
            self.found.append({"kind": dict(attributes).get("class", ""), "heading": "", "text": "", "pictures": 0})
        elif tag == "img":
            self.found[-1]["pictures"] += 1

    def handle_data(self, data):
        if self.found and self.inside not in ("script", "style"):
            self.found[-1]["heading" if self.inside in ("h1", "h2") else "text"] += data.strip()


def made(tmp_path, *cells):
    nbformat.write(v4.new_notebook(cells=list(cells)), tmp_path / "n.ipynb")
    count = to_slides(tmp_path / "n.ipynb", tmp_path / "slides.html")
    slides = Slides((tmp_path / "slides.html").read_text())
    assert len(slides.found) == count
    return slides


def test_headings_begin_slides_and_further_figures_go_on(tmp_path):
    slides = made(
        tmp_path,
        v4.new_markdown_cell("# A *lesson*\n\nwhat it is about"),
        v4.new_markdown_cell("## One\n\ntext\n\n```\n# no heading\n```\n\n### Two of [it](#x)\n\nmore"),
        v4.new_code_cell("secret code", outputs=[figure(), figure()], metadata={"alt": "two figures"}),
        v4.new_markdown_cell("hidden", metadata={"tags": ["notebook-only"]}),
        v4.new_markdown_cell("## Last"),
        v4.new_code_cell("1", outputs=[v4.new_output("execute_result", {"text/html": "<b>a table</b>"})]),
    )
    assert [(slide["kind"], slide["heading"], slide["pictures"]) for slide in slides.found] == [
        ("title", "A lesson", 0), ("", "One", 0), ("", "Two of it", 1), ("again", "Two of it", 1), ("", "Last", 0),
    ]  # fmt: skip
    said = "".join(slide["text"] for slide in slides.found)
    assert "no heading" in said and "a table" in said and "what it is about" in said
    assert "secret" not in said and "hidden" not in said and "<Figure>" not in said
    assert [attributes["alt"] for tag, attributes in slides.tags if tag == "img"] == ["two figures"] * 2


@pytest.mark.parametrize(("size", "expected"), [((600, 200), 2), ((300, 300), 3)])
def test_a_long_text_shares_a_slide_with_a_wide_figure_only(tmp_path, size, expected):
    text = v4.new_markdown_cell("## A heading\n\n" + "word " * 100)
    assert len(made(tmp_path, text, v4.new_code_cell("1", outputs=[figure(*size)])).found) == expected


def test_a_text_after_a_figure_begins_a_slide_and_a_remark_does_not(tmp_path):
    cells = [v4.new_markdown_cell("## A heading"), v4.new_code_cell("1", outputs=[figure()])]
    assert len(made(tmp_path, *cells, v4.new_markdown_cell("a remark")).found) == 2
    assert len(made(tmp_path, *cells, v4.new_markdown_cell("a whole story " * 20)).found) == 3


def test_the_title_is_the_first_heading_wherever_it_stands(tmp_path):
    slides = made(tmp_path, v4.new_markdown_cell("# Hidden title\n\nrun it", metadata={"tags": ["notebook-only"]}))
    assert slides.found == [{"kind": "title", "heading": "Hidden title", "text": "1 / 1", "pictures": 0}]
    to_slides(tmp_path / "n.ipynb", tmp_path / "slides.html", title="Mine & yours")
    assert "<title>Mine &amp; yours</title>" in (tmp_path / "slides.html").read_text()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Slides of a notebook in which everything is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    outputs = [
        v4.new_output("display_data", {kind: "\n".join(ATTACKS)})
        for kind in ("text/html", "text/markdown", "text/plain", "application/javascript", "image/svg+xml")
    ]
    outputs += [
        v4.new_output("display_data", {"image/png": "\"><script>document.title = 'run'</script>"}),
        v4.new_output("stream", name="stdout", text=ATTACKS[0]),
        v4.new_output("stream", name="stderr", text="a progress bar"),
        v4.new_output("error", ename="E", evalue="x", traceback=[ATTACKS[0]]),
    ]
    cells = [
        v4.new_markdown_cell("# " + ATTACKS[0] + "\n\n" + "\n\n".join([*ATTACKS, "![x](https://example.com/x.png)"])),
        v4.new_markdown_cell("## " + ATTACKS[1]),
        v4.new_code_cell("1", outputs=outputs, metadata={"alt": '" onerror="x'}),
    ]
    nbformat.write(v4.new_notebook(cells=cells), folder / "n.ipynb")
    to_slides(folder / "n.ipynb", folder / "slides.html")
    return folder / "slides.html"


def test_nothing_is_fetched_and_no_script_but_ours_is_there(hostile):
    text = hostile.read_text()
    tags = Slides(text).tags
    assert [tag for tag, _ in tags].count("script") == 1
    for tag, attributes in tags:
        assert tag not in ("iframe", "link", "object", "embed", "base", "svg")
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("src") or "data:").startswith("data:")
        assert "http" not in (attributes.get("src") or "") + (attributes.get("style") or "")
        assert not (attributes.get("href") or "").startswith("javascript")
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert "@import" not in styles and "url(" not in styles
    assert "a progress bar" not in text


def test_the_policy_names_the_digest_of_the_script(hostile):
    text = hostile.read_text()
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text and "default-src 'none'" in text


def in_a_browser(page, profile, place=""):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command += ["--virtual-time-budget=2000", "--window-size=1280,720", "--dump-dom", page.as_uri() + place]
    return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout


def test_a_browser_runs_our_script_and_no_other(hostile, tmp_path):
    dom = in_a_browser(hostile, tmp_path)
    assert re.search(r"<title>(.*?)</title>", dom)[1] != "run"
    count = dom.count("<section")
    assert f'id="number">1 / {count}<' in dom


def test_an_address_leads_to_its_slide(tmp_path):
    made(tmp_path, *(v4.new_markdown_cell(f"## Slide {number}\n\ntext") for number in range(1, 6)))
    assert 'id="number">4 / 6<' in in_a_browser(tmp_path / "slides.html", tmp_path / "profile", "#4")


def test_what_is_no_notebook_or_was_not_run_is_refused(tmp_path):
    (tmp_path / "x.ipynb").write_text("no notebook")
    with pytest.raises(InputError, match="Jupyter notebook"):
        to_slides(tmp_path / "x.ipynb", tmp_path / "s.html")
    with pytest.raises(InputError, match="Jupyter notebook"):
        to_slides(tmp_path / "missing.ipynb", tmp_path / "s.html")
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("1")]), tmp_path / "n.ipynb")
    with pytest.raises(InputError, match="run it first"):
        to_slides(tmp_path / "n.ipynb", tmp_path / "s.html")
    assert not (tmp_path / "s.html").exists()
