"""Two wordings of a prompt from the same noise: all that differs between the pictures of a seed comes of the words."""

from typing import Any

from synth.compare.pair_page import write_page
from synth.compare.pairs import Comparison, Pair
from synth.edit.figures import wordings
from synth.errors import InputError
from synth.records.files import write_atomically
from synth.studies import Study, study

FIGURE, PAGE = "wordings.png", "wordings.html"


def compare_wordings(first: str, second: str, **how: Any) -> Study:
    """A study of two prompts with the same seeds, with wordings.png and wordings.html in its folder.

    The figure shows the pictures of each seed and where they differ, the page lays them over each other (slider and
    flicker, offline). how: what else `synth.study` takes but axes, such as seeds or settings; errors as from there, and
    an InputError for two equal prompts.
    """
    if first == second:
        raise InputError("prompts", first, "give two that differ")
    if how.get("axes"):
        raise InputError("axes", how["axes"], "leave them out: `synth compare` shows prompts over axes")
    made = study(prompts=[first, second], **how)
    found = pairs(made)
    write_atomically(made.folder / FIGURE, wordings(found, made.plan.prompts).png())
    write_page(found, made.folder / PAGE)
    return made


def pairs(made: Study) -> Comparison:
    """The pictures of a study's two prompts, seed by seed."""
    frame = made.frame()
    frame["file"] = [made.folder / path for path in frame["path"]]
    sides = [frame[frame["prompt_index"] == index].set_index("seed", drop=False).to_dict("index") for index in (0, 1)]
    every = [Pair(*(side[seed] for side in sides), label=f"seed {seed}") for seed in made.plan.seeds]
    good = [pair for pair in every if pair.a["status"] == pair.b["status"] == "done"]
    left_out = [f"{pair.label}: {pair.a['error'] or pair.b['error']}" for pair in every if pair not in good]
    return Comparison(made.plan.prompts, tuple(good), tuple(left_out))
