"""The page's own elements, each a script and a style sheet in the folder `parts`; all text goes through textContent."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

FOLDER = Path(__file__).parent / "parts"
ACTED, HEARD = "synth-acted", "synth-heard"
ROOT = '<div class="part"></div>'


def part(name: str, key: str, data: dict[str, Any], **told: Callable[[Any], None]) -> None:
    """Show an element. data: what its script is given; told: by event, a function that is called with its value.

    Unlike Streamlit's own texts, which are Markdown, nothing in `data` can become more than text or a picture.
    """
    _component(name)(key=key, data=data, on_done_change=lambda: _hear(key, told))


def moving(body: Callable[..., None], every: float | None, *given: Any) -> None:
    """Show something that looks again by itself every so many seconds, without the rest of the page.

    What was clicked in it may concern the rest: then all is shown anew.
    """

    def look() -> None:
        if st.session_state.pop(ACTED, False):
            st.rerun()
        body(*given)

    st.fragment(look, run_every=every)()


def whole_page() -> None:
    """Say that all is being shown anew."""
    st.session_state.pop(ACTED, None)


def note(text: str, key: str) -> None:
    """One sentence about something that went wrong; nothing where there is none."""
    if text:
        part("note", f"note-{key}", {"text": text})


def style() -> None:
    """The style of the whole page."""
    st.html(f"<style>{(FOLDER / 'page.css').read_text(encoding='utf-8')}</style>")


@cache
def _component(name: str) -> Any:
    script, sheet = (
        "\n".join((FOLDER / f"{file}.{kind}").read_text(encoding="utf-8") for file in ("base", name))
        for kind in ("js", "css")
    )
    return st.components.v2.component(f"synth.{name}", html=ROOT, css=sheet, js=script)


def _hear(key: str, told: dict[str, Callable[[Any], None]]) -> None:
    """Do what was done in an element since it was last heard; what it says repeats what was heard already."""
    heard = st.session_state.setdefault(HEARD, {})
    for act in st.session_state[key]["done"]:
        if act["when"] > heard.get(key, 0.0):
            heard[key] = act["when"]
            st.session_state[ACTED] = True
            told[act["event"]](act["value"])
