"""The pictures of a study, prompts by seeds, as they form and finish."""

from typing import Any

import streamlit as st

from synth.page import parts
from synth.page.following import Following, Shown
from synth.page.prompts import pieces
from synth.page.visit import Visit
from synth.serve.answers import State
from synth.writing.prompts import Prompt

OFTEN = 0.5  # seconds between two looks at what has happened
QUARTERS = 4  # of a study, after each of which its progress is spoken
ENDINGS = {"done": "All pictures are finished", "cancelled": "Cancelled", "failed": "It failed"}


def show_grid(visit: Visit) -> None:
    """Show the study that was asked for last, or opened."""
    if visit.following is None:
        return
    st.header("Pictures", anchor=False)
    ended = visit.following.ended
    parts.moving(_grid, None if ended else OFTEN, visit, ended)


def _grid(visit: Visit, was_ended: bool) -> None:
    """was_ended: when the whole page was last shown, which has more to show of a study that has ended."""
    following = visit.following
    _progress(visit, following)
    parts.note(following.trouble, "grid")
    rows: dict[int, list[Shown]] = {}
    for item in list(following.shown.values()):
        rows.setdefault(item.picture.place["prompt_index"], []).append(item)
    for place, items in rows.items():
        data = {"place": place + 1, **_row(following.prompts[place], items, visit)}
        parts.part("row", f"row-{following.study}-{place}", data, open=visit.open, compare=visit.compare)
    if following.ended != was_ended:
        st.rerun()


def _progress(visit: Visit, following: Following) -> None:
    state = following.state
    if state is None:
        return
    pictures, done = state.pictures, following.done
    quarter = QUARTERS * done // max(1, pictures)
    ending = f"{ENDINGS.get(state.state, '')}{': ' * bool(state.reason)}{state.reason}"
    data = {
        "pictures": pictures, "done": done, "ended": state.ended, "cancel": not state.ended,
        "told": ending if state.ended else _told(state, following),
        "spoken": ending if state.ended else f"{quarter * pictures // QUARTERS} of {pictures} pictures",
    }  # fmt: skip
    cancel = lambda _: visit.tried("grid", lambda: visit.client.cancel(following.study))  # noqa: E731
    parts.part("progress", f"progress-{following.study}", data, cancel=cancel)


def _told(state: State, following: Following) -> str:
    """How far it is, how fast it goes, and who else waits."""
    left = state.pictures - following.done
    told = [f"{following.done} of {state.pictures} pictures"]
    if following.rate:
        told += [f"{following.rate:.1f} a second", f"about {max(1, round(left / following.rate))} s left"]
    if state.ahead > left:
        told.append(f"{state.ahead - left} of other people wait too")
    return " · ".join(told)


def _row(prompt: Prompt, items: list[Shown], visit: Visit) -> dict[str, Any]:
    if visit.phrase and visit.phrase in prompt.text:
        prompt = prompt.but(phrase=visit.phrase)
    return {
        "prompt": pieces(prompt), "text": prompt.text,
        "pictures": [_cell(item, visit) for item in items],
    }  # fmt: skip


def _cell(item: Shown, visit: Visit) -> dict[str, Any]:
    key = item.picture.key
    return {
        "key": key, "label": f"seed {item.picture.job.seed}", "status": item.status, "image": item.image,
        "told": item.told, "opened": key == visit.opened,
        "side": "AB"[visit.sides.index(key)] if key in visit.sides else "",
    }  # fmt: skip
