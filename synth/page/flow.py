"""The page from top to bottom: a phrase, its prompts, their pictures, one or two of them closer, and what to keep."""

import re

import streamlit as st

from synth.page import parts
from synth.page.asking import ask
from synth.page.closer import show_closer
from synth.page.comparing import show_pair
from synth.page.grid import show_grid
from synth.page.joined import new_session
from synth.page.prompts import show_prompts
from synth.page.shelf import show_shelf
from synth.page.table import show_table
from synth.page.visit import Visit

COOKIE = "synth-visit"
SESSION = re.compile(r"[\w-]{16,64}", re.ASCII)
AGAIN = 1.0  # seconds between two looks whether the service is back


def show_page() -> None:
    """Show everything to one visitor, as things are now."""
    st.set_page_config(page_title="Synth", page_icon="🖼️", layout="wide", menu_items={})
    parts.whole_page()
    parts.style()
    visit = _visit()
    parts.part("cookie", "cookie", {"name": COOKIE, "value": visit.session})
    st.html('<p class="kind">Synth</p>')
    st.title("From a phrase to pictures", anchor=False)
    offered = visit.offered()
    if offered is None:
        parts.moving(_wait, AGAIN, visit)
        return
    wish = ask(visit, offered)
    show_prompts(visit, wish)
    show_grid(visit)
    show_closer(visit)
    show_pair(visit)
    show_table(visit)
    show_shelf(visit)


@st.cache_resource(scope="session", on_release=Visit.close, show_spinner=False)
def _visit() -> Visit:
    """The visitor of this browser: known again by a cookie after a reload, with their latest study."""
    known = st.context.cookies.get(COOKIE, "")
    visit = Visit(known if SESSION.fullmatch(known) else new_session())
    if known and (studies := visit.studies()):
        visit.reopen(studies[0])
        st.session_state["phrase"] = studies[0].phrase
    return visit


def _wait(visit: Visit) -> None:
    """Look whether the service is back, and go on then."""
    if visit.offered() is not None:
        st.rerun()
    parts.note(visit.troubles["service"], "service")
