"""The studies of this visitor, to be opened again."""

from typing import Any

import streamlit as st

from synth.page import parts
from synth.page.visit import Visit
from synth.serve.answers import State


def show_shelf(visit: Visit) -> None:
    """List them, folded away, if there is more than the one that is shown."""
    studies = visit.studies()
    parts.note(visit.troubles.get("studies", ""), "studies")
    if not studies:
        return
    with st.expander(f"Your studies ({len(studies)})"):
        data = {"studies": [_study(state, visit) for state in studies]}
        parts.part("shelf", "shelf", data, open=lambda study: _open(visit, studies, study))


def _study(state: State, visit: Visit) -> dict[str, Any]:
    when = state.created.replace("T", " ")[:16]
    current = visit.following is not None and visit.following.study == state.id
    told = f"{state.pictures - state.left} of {state.pictures} pictures, {state.state}, {when} UTC"
    return {"key": state.id, "phrase": state.phrase, "told": told, "current": current}


def _open(visit: Visit, studies: list[State], study: str | None) -> None:
    for state in studies:
        if state.id == study:
            visit.reopen(state)
            st.session_state["phrase"] = state.phrase
