"""The list of prompts: it forms as GPT-2 writes, and is edited, pinned, re-rolled and rendered."""

from typing import Any

import streamlit as st

from synth.page import parts
from synth.page.visit import Line, Visit, Wish
from synth.writing.prompts import Prompt
from synth.writing.selection import BLOCK

OFTEN = 0.15  # seconds between two looks at what GPT-2 has written
MOST = 8  # texts that are seen while they are written, as many as the service tells
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
        "lines": _forming(visit, wish) if visit.writing else _lines(visit),
        "others": [{"key": prompt.candidate, "prompt": pieces(prompt)} for prompt in others],
        "busy": visit.writing is not None, **_told(visit),
    }  # fmt: skip
    parts.part("prompts", "prompts", data, act=lambda what: _act(visit, wish, what))


def _forming(visit: Visit, wish: Wish) -> list[dict[str, Any]]:
    """The lines with GPT-2's texts so far in the places that it writes for; which will be chosen is not known yet."""
    texts = visit.writing.told.get("texts") or [visit.phrase] * MOST
    places = range(1, min(wish.n, len(texts)) + 1)
    lines = _lines(visit) or [{"key": f"forming {place}", "place": place, "pinned": False} for place in places]
    awaited = [line for line in lines if visit.replaced is None or line["key"] in visit.replaced]
    for line, text in zip(awaited, texts, strict=False):
        line |= {"prompt": pieces(Prompt(text=text, phrase=visit.phrase)), "remark": "", "forming": True}
    return lines


def _lines(visit: Visit) -> list[dict[str, Any]]:
    return [_line(place, line) for place, line in enumerate(visit.lines, start=1)]


def _line(place: int, line: Line) -> dict[str, Any]:
    prompt = line.prompt
    unseen = "the renderer never sees what is struck through" if prompt.truncated else ""
    return {
        "key": line.number, "place": place, "prompt": pieces(prompt), "pinned": line.pinned,
        "remark": "edited" if line.edited else unseen,
    }  # fmt: skip


def _told(visit: Visit) -> dict[str, str]:
    """What is seen, and what is spoken: seldom, and the end."""
    if visit.writing is None:
        return {"told": "", "spoken": "GPT-2 has finished" if visit.candidates else ""}
    told = f"GPT-2 is writing {BLOCK} texts at a time: {visit.writing.told.get('candidates', 0)} so far"
    return {"told": told, "spoken": "GPT-2 is writing"}


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
