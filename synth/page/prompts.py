"""The list of prompts: it forms as GPT-2 writes, and is edited, pinned, re-rolled and rendered."""

from typing import Any

import streamlit as st

from synth.page import parts
from synth.page.visit import Line, Visit, Wish
from synth.writing.prompts import Prompt

OFTEN = 0.25  # seconds between two looks at what GPT-2 has written
Pieces = list[tuple[str, str]]


def show_prompts(visit: Visit, wish: Wish) -> None:
    """Show the list, if there is one or will be, and the button that has it rendered."""
    visit.settle()
    if not visit.lines and visit.writing is None:
        return
    st.header("Prompts", anchor=False)
    parts.moving(_list, OFTEN if visit.writing else None, visit, wish)
    if not visit.lines:
        return
    count = len(visit.lines) * wish.seeds
    pictures = f"{count:,} picture{'s' * (count > 1)}"
    st.button(f"Render {pictures}", type="primary", on_click=visit.render, args=(wish,), disabled=bool(visit.writing))
    parts.note(visit.troubles.get("render", ""), "render")


def _list(visit: Visit, wish: Wish) -> None:
    if visit.settle():
        st.rerun()
    texts = {line.prompt.text for line in visit.lines}
    others = [prompt for prompt in visit.candidates if prompt.text not in texts]
    data = {
        "lines": [_line(place, line) for place, line in enumerate(visit.lines, start=1)],
        "others": [{"key": prompt.candidate, "prompt": pieces(prompt)} for prompt in others],
        "busy": visit.writing is not None, "awaited": wish.n, "told": _told(visit),
    }  # fmt: skip
    parts.part("prompts", "prompts", data, act=lambda what: _act(visit, wish, what))


def _line(place: int, line: Line) -> dict[str, Any]:
    prompt = line.prompt
    unseen = "the renderer never sees what is struck through" if prompt.truncated else ""
    return {
        "key": line.number, "place": place, "prompt": pieces(prompt), "pinned": line.pinned,
        "remark": "edited" if line.edited else unseen,
    }  # fmt: skip


def _told(visit: Visit) -> str:
    if visit.writing is not None:
        return f"GPT-2 is writing: {visit.writing.told}" if visit.writing.told else "GPT-2 is writing"
    return ""


def _act(visit: Visit, wish: Wish, what: dict[str, Any]) -> None:
    """Do what was clicked in the list."""
    match what["what"], visit.line(what["number"]):
        case "reroll", None:
            visit.reroll(wish, {line.number for line in visit.lines if not line.pinned})
        case "reroll", line:
            visit.reroll(wish, {line.number})
        case "pin", Line() as line:
            line.pinned = not line.pinned
        case "edit", Line() as line:
            line.prompt, line.edited = Prompt(text=what["text"], phrase=what["text"]), True
        case "remove", Line() as line:
            visit.lines.remove(line)
        case "add", _:
            for prompt in visit.candidates:
                if prompt.candidate == what["number"]:
                    visit.add(prompt)


def pieces(prompt: Prompt) -> Pieces:
    """A prompt in pieces: what the person typed, what GPT-2 added, and what the renderer never sees.

    >>> pieces(Prompt(text="a cat in fog", phrase="a cat", truncated=" fog"))
    [('typed', 'a cat'), ('added', ' in'), ('unseen', ' fog')]
    """
    if not prompt.phrase or prompt.phrase not in prompt.kept:
        found = [("typed", prompt.kept)]
    else:
        opening, _, added = prompt.kept.partition(prompt.phrase)
        found = [("added", opening), ("typed", prompt.phrase), ("added", added)]
    return [(kind, text) for kind, text in [*found, ("unseen", prompt.truncated)] if text]
