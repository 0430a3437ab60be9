"""What a report shows of a study besides its figures, as HTML that is safe whatever the user typed.

Each function takes a Study and returns an `Html`: a str that Jupyter shows as a page. All text from outside goes
through html.escape. Tags carry meaning by themselves (b: added by GPT-2, del: never seen by the renderer), so that the
tables read well in Jupyter and Colab too; classes are for the report's own style sheet.
"""

import shlex
from collections.abc import Iterable
from html import escape
from typing import Any

from synth.plots import ACCENT, ALARM
from synth.studies import Study
from synth.vignettes import captions
from synth.writing.prompts import Prompt

MOST_ROWS = 500


class Html(str):
    """A piece of HTML. Its repr is short, because notebooks keep that too."""

    def __repr__(self) -> str:
        return f"<HTML, {len(self):,} characters>"

    def _repr_html_(self) -> str:
        return str(self)


def headline(study: Study) -> Html:
    """How many pictures of how many prompts there are, and where."""
    counts, frame = study.counts, study.frame()
    counted = {"prompt": len(study.expansion), "seed": len(study.plan.seeds), "picture": counts["done"]}
    facts = [(number, noun if number == 1 else f"{noun}s") for noun, number in counted.items()]
    facts.append((f"{frame['seconds'].sum():.0f} s", "rendering"))
    if counts["failed"] or counts["left"]:
        facts.append((counts["failed"] + counts["left"], "failed"))
    return Html('<p class="facts">' + " ".join(f"<span><b>{value}</b> {name}</span>" for value, name in facts) + "</p>")


def prompt_table(study: Study) -> Html:
    """The prompts, with what GPT-2 added in colour and what the renderer never saw struck through."""
    written = study.expansion.model is not None
    head = ["", "prompt", *(["log-probability", "per token"] if written else []), "tokens"]
    rows = [
        [str(index + 1), marked(prompt), *(_logprob(prompt) if written else []), str(prompt.renderer_tokens)]
        for index, prompt in enumerate(_measured_prompts(study))
    ]
    return table(head, rows, "prompts")


def unknown_words(study: Study) -> Html:
    """Names each word of the phrase, or of people's own prompts, that the bundled renderer was never taught."""
    texts = [study.plan.phrase] if study.plan.phrase else [prompt.text for prompt in study.expansion]
    unknown = captions.unknown_words("\n".join(texts)) if study.plan.model.name == "vignettes" else []
    if not unknown:
        return Html()
    words = ", ".join(f"<b>{escape(word)}</b>" for word in unknown)
    return Html(
        f'<p class="note">The bundled model was never taught: {words}. It knows little illustrated scenes and nothing '
        "else, so these words change its pictures in ways that mean nothing. For models that know more, see "
        "<code>synth models</code>.</p>"
    )


def settings_table(study: Study) -> Html:
    """Every setting that decides the pictures and the prompts, and the machine they were made on."""
    plan, frame = study.plan, study.frame()
    renderer = {"model": _reference(plan.model), **_fields(plan.settings), "seeds": _seeds(plan.seeds)}
    columns = ("device", "dtype", "synth", "torch", "diffusers", "transformers")
    machine = {name: ", ".join(frame[name].unique()) for name in columns}
    parts = [_facts("Renderer", renderer)]
    if plan.expander is not None:
        expander = {"model": _reference(plan.expander), **_fields(plan.expansion), "seed": plan.seed}
        parts.append(_facts("GPT-2", expander))
    parts.append(_facts("Machine", machine))
    return Html(f'<div class="columns">{"".join(parts)}</div>')


def log_table(study: Study) -> Html:
    """A line for each picture, up to 500; log.csv has all of them and every column."""
    frame = study.frame()
    head = ["prompt", "seed", "status", "seconds", "batch", "tokens", "file", "pixels (SHA-256)", "remarks"]
    rows = [_log_row(row) for row in frame.head(MOST_ROWS).to_dict("records")]
    rest = len(frame) - len(rows)
    more = f"<p>{rest:,} more rows are in log.csv and log.parquet.</p>" if rest else ""
    return Html(table(head, rows, "log") + more)


def candidates(study: Study) -> Html:
    """What GPT-2 also wrote and was not chosen, folded away; nothing with people's own prompts."""
    others = [prompt for prompt in study.expansion.candidates if prompt.fate != "chosen"]
    if not others:
        return Html("<p>There are none.</p>")
    rows = [[str(prompt.candidate), marked(prompt), *_logprob(prompt), escape(prompt.fate)] for prompt in others]
    listed = table(["", "candidate", "log-probability", "per token", "fate"], rows, "prompts")
    return Html(f"<details><summary>Show all {len(others)}</summary>{listed}</details>")


def remake(study: Study) -> Html:
    """Commands that make the first finished picture again, as an example for all."""
    done = study.frame().query("status == 'done'")
    path = (study.folder / (done["path"].iloc[0] if len(done) else "images/PICTURE.png")).as_posix()
    python = "\n".join([
        "import synth",
        "from synth.records.pictures import read_job",
        "",
        f"job = read_job({path!r})",
        "picture = next(synth.render([job])).image",
    ])  # fmt: skip
    return Html(f"<pre>synth verify {escape(shlex.quote(path))}</pre><pre>{escape(python)}</pre>")


def marked(prompt: Prompt) -> str:
    """The prompt as HTML: plain what the person typed, <b> what GPT-2 added, <del> what the renderer never saw.

    >>> marked(Prompt(text="a cat <in> fog", phrase="a cat", truncated=" fog"))
    'a cat<b style="color:#0b6b8a"> &lt;in&gt;</b><del style="color:#b42318"><b style="color:#0b6b8a"> fog</b></del>'
    """
    start = len(prompt.opening)
    end = start + len(prompt.phrase) if prompt.phrase in prompt.text else start
    seen = len(prompt.kept)
    return _stretch(prompt.text, 0, seen, (start, end)) + _cut(
        _stretch(prompt.text, seen, len(prompt.text), (start, end))
    )


def _stretch(text: str, low: int, high: int, phrase: tuple[int, int]) -> str:
    """text[low:high] as HTML, the part within `phrase` plain and the rest <b>."""
    first, last = (min(max(edge, low), high) for edge in phrase)
    return _added(text[low:first]) + escape(text[first:last]) + _added(text[last:high])


def _added(text: str) -> str:
    return f'<b style="color:{ACCENT}">{escape(text)}</b>' if text else ""


def _cut(html: str) -> str:
    return f'<del style="color:{ALARM}">{html}</del>' if html else ""


def _measured_prompts(study: Study) -> list[Prompt]:
    """The prompts with the token counts that the renderer found, where it came to render them."""
    rows = study.frame().drop_duplicates("prompt_index").set_index("prompt_index")
    return [
        prompt.but(renderer_tokens=rows["prompt_tokens"][index], truncated=rows["truncated"][index])
        if index in rows.index and rows["prompt_tokens"][index]
        else prompt
        for index, prompt in enumerate(study.expansion)
    ]


def _logprob(prompt: Prompt) -> list[str]:
    return ["" if value is None else f"{value:.1f}" for value in (prompt.logprob, prompt.mean_logprob)]


def _log_row(row: dict[str, Any]) -> list[str]:
    path = escape(row["path"])
    remarks = "; ".join(text for text in (row["error"], row["notes"]) if text)
    return [
        str(row["prompt_index"] + 1),
        str(row["seed"]),
        row["status"] if row["status"] == "done" else f'<b style="color:{ALARM}">{escape(row["status"])}</b>',
        f"{row['seconds']:.2f}",
        str(row["batch_size"]),
        str(row["prompt_tokens"]),
        f'<a href="{path}">{path.removeprefix("images/")}</a>' if path else "",
        f"<code>{escape(row['pixels_sha256'][:12])}</code>",
        escape(remarks),
    ]


def _reference(model: Any) -> str:
    pin = model.revision or model.digest or ""
    loras = "".join(f" + {name} ({weight:g})" for name, weight in model.loras)
    return f"{model.name}{loras} {pin[:19]}".strip()


def _seeds(seeds: tuple[int, ...]) -> str:
    if len(seeds) <= 8:
        return ", ".join(map(str, seeds))
    if seeds == tuple(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return f"{', '.join(map(str, seeds[:8]))} and {len(seeds) - 8:,} more"


def _fields(settings: Any) -> dict[str, Any]:
    values = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    return {name: ", ".join(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _facts(title: str, values: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(str(value)) or 'none'}</td></tr>"
        for name, value in values.items()
    )
    return f'<table class="facts"><caption>{title}</caption>{rows}</table>'


def table(head: Iterable[str], rows: Iterable[Iterable[str]], kind: str) -> Html:
    """A table of cells that are HTML already; a wide one scrolls."""
    top = "".join(f"<th>{name}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return Html(
        f'<div class="wide"><table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )
