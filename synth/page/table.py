"""The table of a finished study, its measures, and what can be taken home of it."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from synth.page import parts
from synth.page.visit import Visit
from synth.serve.answers import Measured

OFTEN = 0.5  # seconds between two looks whether the measures are there
COLUMNS = {
    "prompt_index": "", "prompt": "prompt", "seed": "seed", "status": "status", "seconds": "seconds",
    "prompt_tokens": "tokens",
}  # fmt: skip
MEASURES = ["measure", "mean", "95% interval", "pictures", "model"]


def show_table(visit: Visit) -> None:
    """Show what is known of each picture, once the study has ended with any."""
    following = visit.following
    if following is None or not following.ended or not following.done:
        return
    st.header("Measure and keep", anchor=False)
    _downloads(visit, following.study)
    busy = visit.measuring is not None and visit.measuring.busy
    parts.moving(_figures, OFTEN if busy else None, visit, busy)


def _downloads(visit: Visit, study: str) -> None:
    client = visit.client
    kinds: list[tuple[str, str, str, Callable[[], Any]]] = [
        ("Pictures and log (zip)", "zip", "application/zip", lambda: client.zip(study)),
        ("Report (a page)", "html", "text/html", lambda: client.report(study)),
        ("Log (CSV)", "csv", "text/csv", lambda: client.log_csv(study)),
    ]
    with st.container(horizontal=True):
        for label, ending, media, fetch in kinds:
            name = f"synth-{study}.{ending}"
            st.download_button(label, fetch, name, media, on_click="ignore", key=f"take-{ending}")


def _figures(visit: Visit, was_busy: bool) -> None:
    chore = visit.measuring
    busy = chore is not None and chore.busy
    label = "Measuring…" if busy else "Measure the pictures"
    st.button(label, on_click=visit.measure, disabled=busy, key="measure")
    if chore is not None:
        parts.note(chore.trouble, "measures")
        if chore.result:
            found = list(map(_measure, chore.result))
            parts.part("table", "measures", {"title": "Measures", "head": MEASURES, "rows": found})
    rows = visit.tried("log", lambda: visit.client.log(visit.following.study)) or []
    parts.part("table", "log", {"title": "Table of all pictures", **_log(rows)})
    parts.note(visit.troubles.get("log", ""), "log")
    if was_busy != busy:
        st.rerun()


def _measure(found: Measured) -> list[str]:
    interval = "" if found.low is None else f"{found.low:.3g} to {found.high:.3g}"
    return [found.measure.replace("_", " "), f"{found.mean:.3g}", interval, str(found.pictures), found.model]


def _log(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Its columns that a person reads, and those of its measures."""
    known = rows[0] if rows else {}
    names = COLUMNS | {name: name.replace("_", " ") for name in known if f"{name}_model" in known}
    return {"head": list(names.values()), "rows": [[_cell(name, row.get(name)) for name in names] for row in rows]}


def _cell(name: str, value: Any) -> str:
    if name == "prompt_index":
        return str(value + 1)
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)
