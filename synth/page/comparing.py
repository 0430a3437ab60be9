"""Two pictures side by side, or over each other, and what differs in their settings."""

from typing import Any

import streamlit as st

from synth.page import parts
from synth.page.closer import facts
from synth.page.visit import SIDES, Visit
from synth.serve.answers import Picture


def show_pair(visit: Visit) -> None:
    """Show the two pictures that were chosen in the grid."""
    known = visit.following.shown if visit.following else {}
    pictures = [known[key].picture for key in visit.sides if key in known]
    if len(pictures) < SIDES:
        return
    st.header("Compare", anchor=False)
    sides = visit.tried("pair", lambda: [_side(visit, picture) for picture in pictures])
    if sides:
        data = {"sides": sides, "differences": differences(*pictures)}
        parts.part("pair", "pair", data, close=lambda _: visit.sides.clear())
    parts.note(visit.troubles.get("pair", ""), "pair")


def differences(a: Picture, b: Picture) -> list[tuple[str, str, str]]:
    """The names of what differs, with both values."""
    first, second = ({"prompt": picture.job.prompt, **facts(picture)} for picture in (a, b))
    return [(name, first[name], second[name]) for name in first if first[name] != second[name]]


def _side(visit: Visit, picture: Picture) -> dict[str, Any]:
    image = visit.picture(visit.following.study, picture.key).address
    return {"image": image, "about": f"{picture.job.prompt}, seed {picture.job.seed}"}
