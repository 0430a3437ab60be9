"""What the notebook on fine-tuning shows besides figures, as HTML that is safe whatever the captions are."""

import shlex
from collections.abc import Sequence
from html import escape

from synth.layout.pages import Html, table
from synth.measure.intervals import Figure
from synth.train.data.prepared import PreparedSet
from synth.train.data.statistics import describe
from synth.train.evaluation import Evaluation
from synth.train.params import Params
from synth.train.runs import Run

MEANINGS = {
    "loss": ("error, own caption", "how far off its guess at the noise is: lower is better"),
    "none": ("error, no caption", "the same, with no words to go by"),
    "listens": ("gain by caption", "the second less the first: the higher, the more the words decide"),
    "clip_score": ("CLIP score", "how well pictures fit captions, as CLIP sees it: higher is better"),
    "kid": ("KID", "distance of its pictures from the held-out ones: lower is better"),
    "gold": ("gold and lacquer", "share of the pixels that have a colour of the new style"),
}
DRAWS = "draws_"
DRAWN_RIGHT = "share of the captions that name it where the judge sees it too"


def data_table(prepared: PreparedSet, model: str) -> Html:
    """What a set is made of, in numbers; its captions counted in the model's tokens."""
    rows = [[_unbroken(what), escape(number)] for what, number in describe(prepared, model).rows()]
    return table(["", ""], rows, "figures")


def left_out_table(prepared: PreparedSet, most: int = 20) -> Html:
    """Which pictures were left out, and why: the first so many."""
    rows = [[escape(origin), escape(reason)] for origin, reason in prepared.left_out[:most]]
    rest = len(prepared.left_out) - len(rows)
    more = f"<p>{rest:,} more are in left_out.jsonl.</p>" if rest else ""
    return Html(table(["picture", "why it was left out"], rows, "log") + more) if rows else Html()


def variant(params: Params, others: Sequence[Params]) -> Html:
    """A line that names the training by what tells it from the others; nothing if there are none."""
    own, *every = (item.as_dict()["train"] for item in (params, *others))
    named = [f"{name} {value}" for name, value in own.items() if any(item[name] != value for item in every)]
    return Html(f"<p><b>{escape(', '.join(named))}</b></p>") if named else Html()


def figures_table(evaluation: Evaluation, before: Sequence[Figure] = (), after: Sequence[Figure] = ()) -> Html:
    """Each figure before and after with its 95% interval, and what it means; more of them may be added.

    Below it what pins the CLIP that gave some of them.
    """
    old = {figure.name: figure for figure in (*evaluation.before, *before)}
    rows = [
        [_label(new.name), _with_interval(old.get(new.name)), _with_interval(new), _meaning(new.name)]
        for new in (*evaluation.figures, *after)
    ]
    clip = f"<p>CLIP score and KID: by the features of {escape(evaluation.clip)}</p>" if evaluation.clip else ""
    return Html(table(["", "before", "after", "what it tells"], rows, "figures") + clip)


def uses(run: Run, caption: str) -> Html:
    """Commands that draw with a run's model, here and without Synth."""
    best, phrase, model = shlex.quote(run.best.as_posix()), shlex.quote(caption), escape(run.model.as_posix())
    shell = "\n".join(f"synth {command} {phrase} \\\n    --model {best}" for command in ("render --prompt", "report"))
    return Html(
        f"<pre>{escape(shell)}</pre><p>diffusers alone can read it too: the folder <code>{model}</code> holds what was "
        "learned, and a model card, README.md, that says how to load it and how it was made.</p>"
    )


def _label(name: str) -> str:
    return _unbroken(
        f"draws the {name.removeprefix(DRAWS)}" if name.startswith(DRAWS) else MEANINGS.get(name, (name,))[0]
    )


def _meaning(name: str) -> str:
    return escape(DRAWN_RIGHT if name.startswith(DRAWS) else MEANINGS.get(name, ("", ""))[1])


def _with_interval(figure: Figure | None) -> str:
    return _unbroken(f"{figure.value:.3g} ({figure.low:.3g} to {figure.high:.3g})") if figure else ""


def _unbroken(text: str) -> str:
    """A text as HTML that stays on one line."""
    return escape(text).replace(" ", "&nbsp;")
