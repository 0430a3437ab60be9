"""One picture closer: which word drew what, and everything that it was made with."""

from pathlib import PurePath
from typing import Any

import streamlit as st

from synth.page import parts
from synth.page.chores import Chore
from synth.page.pictures import Kept
from synth.page.prompts import pieces
from synth.page.visit import Visit
from synth.serve.answers import Heat, HotWord, Picture
from synth.writing.prompts import Prompt

OFTEN = 0.4  # seconds between two looks whether the words are known
WAIT = "Finding out which word drew what…"
HINT = "Rest on a word, or choose it with the Tab key, to see what it drew."
SILENT = ("", "0.0", "False")  # what tells nothing about a picture


def show_closer(visit: Visit) -> None:
    """Show the picture that was opened."""
    item = visit.following and visit.following.shown.get(visit.opened)
    if not item:
        return
    st.header("Look closer", anchor=False)
    chore = visit.heat(visit.opened)
    busy = chore.busy
    parts.moving(_closer, OFTEN if busy else None, visit, item.picture, chore, busy)


def _closer(visit: Visit, picture: Picture, chore: Chore[Heat], was_busy: bool) -> None:
    image = visit.tried("closer", lambda: visit.picture(visit.following.study, picture.key))
    if image:
        parts.part("closer", "closer", _data(visit, picture, chore, image))
    parts.note(visit.troubles.get("closer", "") or chore.trouble, "closer")
    if was_busy and not chore.busy:
        st.rerun()


def _data(visit: Visit, picture: Picture, chore: Chore[Heat], image: Kept) -> dict[str, Any]:
    job, heat = picture.job, chore.result
    phrase = visit.phrase if visit.phrase in job.prompt else job.prompt
    words, rest = _words(heat) if heat else ([], "")
    return {
        "key": picture.key, "image": image.address, "width": job.settings.width,
        "about": f"{job.prompt}, seed {job.seed}",
        "prompt": pieces(Prompt(text=job.prompt, phrase=phrase)), "words": words, "rest": rest,
        "hint": HINT if heat else "" if chore.trouble else WAIT,
        "facts": [(name, value) for name, value in facts(picture).items() if value not in SILENT],
    }  # fmt: skip


def _words(heat: Heat) -> tuple[list[dict[str, Any]], str]:
    """The words, each with what stands before it, and what stands after the last."""
    found, end = [], 0
    for word in heat.words:
        found.append({"before": heat.prompt[end : word.start], **_word(word)})
        end = word.end
    return found, heat.prompt[end:]


def _word(word: HotWord) -> dict[str, Any]:
    return {"text": word.text, "added": word.added, "share": word.share, "map": word.map}


def facts(picture: Picture) -> dict[str, str]:
    """What a picture was made with, by name."""
    job = picture.job
    settings = {name: getattr(job.settings, name) for name in job.settings.__dataclass_fields__}
    size = f"{settings.pop('width')} × {settings.pop('height')}"
    name = PurePath(job.model.name)
    known = {"model": name.name if name.is_absolute() else job.model.name, "seed": job.seed, "size": size, **settings}
    del known["strength"]  # nothing on this page is drawn over a picture
    return {name.replace("_", " "): str(value) for name, value in known.items()}
