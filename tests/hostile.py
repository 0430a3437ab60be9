"""Phrases that would like to be files, code or tags; every page that Synth makes of phrases, searched for live tags."""

import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
from hypothesis import strategies as st
from made_up_studies import own_prompts_study

from synth.batches import Outcome, _write_index
from synth.compare.pair_page import page as pair_page
from synth.compare.pairs import compare_studies
from synth.errors import InputError
from synth.explain.tree import Branch, Tree
from synth.explain.tree_page import tree_page
from synth.jobs import ModelRef, check_text
from synth.layout import pages
from synth.layout.publishing import to_html
from synth.layout.slides import to_slides
from synth.measure.voting_page import write_page
from synth.studies import Study

WORDS = (
    "../../", "/etc/", "C:\\", "\0", "{a|b}", "__x__", "$(id)", "';--", "\u202e", "{{7*7}}", "%s%n", "`", "$$", "]]>",
    "-->", '">', "\r\nSet-Cookie: ", "<img src=x onerror=", "<svg/onload=", "<script>alert(1)</script>", "</script>",
    "</title>", "</textarea>", "[x](javascript:alert(1))", "&lt;script&gt;",
)  # fmt: skip
UGLY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(WORDS)
PHRASES = st.lists(UGLY, min_size=1, max_size=4).map(lambda parts: f"{''.join(parts)} <b hostile>../hostile")
DEAD = ("iframe", "object", "embed", "base", "form", "link", "svg", "math", "video", "audio", "frame", "applet")
OWN = {"votes": 2, "compare": 1, "slides": 1, "film": 1}  # scripts that a page has of its own


class _Tags(HTMLParser):
    """Tags of a page that a phrase brought about, and the number of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.live: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        ours = str(values.get("src") or "data:").startswith("data:")
        calls = any("hostile" in name or name.startswith("on") for name in values)
        calls |= re.match(r"\s*(javascript|vbscript|data):", values.get("href") or "", re.IGNORECASE) is not None
        self.scripts += tag == "script"
        if tag in DEAD or "hostile" in tag or calls or not ours:
            self.live.append(self.get_starttag_text())


def live_tags(page: str, scripts: int = 0) -> list[str]:
    """What a page has that a phrase must not bring about; scripts: how many it has of its own."""
    tags = _Tags()
    tags.feed(page)
    return tags.live + ["<script>"] * (tags.scripts != scripts)


def is_accepted(phrase: str) -> bool:
    """Whether Synth takes it at all; no text with control characters is a phrase."""
    try:
        check_text("phrase", phrase)
    except InputError:
        return False
    return True


def pages_of(phrases: list[str], folder: Path) -> dict[str, str]:
    """Every kind of page that Synth writes, with these phrases as prompts, by kind; their files lie in `folder`."""
    request = {"prompts": phrases, "seeds": 2, "out": folder, "device": "cpu", "yes": True}
    one, two = (own_prompts_study(request | {"name": name}, folder) for name in ("one", "two"))
    write_page(one, folder / "votes.html", pictures=min(200, 2 * len(phrases)))
    _write_index(folder / "index.html", phrases[0], [Outcome(1, {"phrase": text}, "failed", text) for text in phrases])
    nbformat.write(_notebook(one, phrases), folder / "report.ipynb")
    to_html(folder / "report.ipynb", folder / "report.html", title=phrases[-1])
    to_slides(folder / "report.ipynb", folder / "slides.html", title=phrases[-1])
    found = {name: (folder / f"{name}.html").read_text() for name in ("votes", "index", "report", "slides")}
    return found | {"compare": pair_page(compare_studies(one, two)), "tree": _tree_of(one, phrases)}


def _notebook(study: Study, phrases: list[str]) -> nbformat.NotebookNode:
    """A notebook with all that reports show of a study, and phrases as text, Markdown and code."""
    v4, shown = nbformat.v4, (pages.headline, pages.prompt_table, pages.settings_table, pages.log_table, pages.remake)
    outputs = [v4.new_output("display_data", {"text/html": str(show(study))}) for show in (*shown, pages.unknown_words)]
    outputs += [v4.new_output("stream", name="stdout", text="\n".join(phrases))]
    cells = [v4.new_markdown_cell(f"# {text}\n\n{text}") for text in phrases]
    return v4.new_notebook(cells=[*cells, v4.new_code_cell("\n".join(phrases), outputs=outputs, execution_count=1)])


def _tree_of(study: Study, phrases: list[str]) -> str:
    branches = [Branch(text, 0.5, 0.5, prompts=[number]) for number, text in enumerate(phrases)]
    expansion = study.expansion.__class__(
        phrase=phrases[0], prompts=study.expansion.prompts, model=ModelRef(name=phrases[0][:80], digest="sha256:0")
    )
    return tree_page(Tree(Branch(phrases[0], 1.0, 1.0, branches=branches), expansion, 0.01))
