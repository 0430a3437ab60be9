"""The phrase, and what is to become of it."""

from typing import Any

import streamlit as st

from synth import presets
from synth.page import parts
from synth.page.visit import Visit, Wish
from synth.serve.answers import Model, Offered

EXAMPLE = "a red lighthouse at sunset"
MOST_SEED = 2**53 - 1  # that a browser counts to
MOST = 100  # of prompts, and of pictures of each; the service has limits of its own
SPEEDS = {"exact": "exact: as its authors advise", "quality": "quality: faster, no loss was measured", "fast": "fast"}


def ask(visit: Visit, offered: Offered) -> Wish:
    """Show the fields, and start the expansion where that is asked for; what they say now."""
    with st.form("phrase-form", border=False, enter_to_submit=True):
        field, button = st.columns([5, 1], vertical_alignment="bottom")
        phrase = field.text_input("Phrase", key="phrase", placeholder=EXAMPLE)
        expand = button.form_submit_button("Expand", type="primary", width="stretch")
    first, second, third = st.columns([2, 1, 1])
    model = _choice(first, "Model", offered, "renderer")
    n = second.number_input("Prompts", 1, MOST, 4)
    seeds = third.number_input("Pictures of each", 1, MOST, 4)
    wish = Wish(phrase=phrase, model=model.name, n=n, seeds=seeds, **_more(offered, model))
    if expand:
        visit.expand(wish)
    parts.note(visit.troubles.get("prompts", ""), "prompts")
    return wish


def _more(offered: Offered, model: Model) -> dict[str, Any]:
    """Fields that few people need."""
    with st.expander("More settings"):
        left, right = st.columns(2)
        expander = _choice(left, "GPT-2", offered, "expander").name
        speed = right.selectbox("Speed", presets.SPEEDS, presets.SPEEDS.index(presets.DEFAULT_SPEED), SPEEDS.get)
        advised = model.settings[speed]
        first, second, third = st.columns(3)
        steps = first.number_input("Steps", 1, 1000, None, placeholder=f"{advised.steps}, as advised")
        guidance = second.number_input(
            "Guidance scale", 0.0, 50.0, None, step=0.5, placeholder=f"{advised.guidance_scale:g}, as advised"
        )
        seed = third.number_input("First seed", 0, MOST_SEED, 0)
        negative = st.text_input("Negative prompt", placeholder="what the pictures should not show")
    given = {"steps": steps, "guidance_scale": guidance, "negative_prompt": negative or None}
    settings = {name: value for name, value in given.items() if value is not None}
    return {"expander": expander, "speed": speed, "seed": seed, "settings": settings}


def _choice(place: Any, label: str, offered: Offered, kind: str) -> Model:
    """One of the models of a kind, those first that can be used now."""
    models = sorted((model for model in offered.models if model.kind == kind), key=lambda model: not model.present)
    return place.selectbox(label, models, format_func=_named, key=f"model-{kind}")


def _named(model: Model) -> str:
    return f"{model.name} · {model.about}" if model.present else f"{model.name} · not downloaded"
