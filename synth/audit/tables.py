"""What a report shows of an audit besides its figures, as HTML that is safe whatever the user typed."""

from html import escape

import pandas as pd

from synth.audit.content import FLAGGED, reasons
from synth.audit.phrases import EXEMPLARS, Audit
from synth.audit.sightings import TEXTS
from synth.layout.pages import Html, marked, table
from synth.plots import ALARM
from synth.writing.prompts import Prompt

MOST_ROWS = 40


def headline(found: Audit) -> Html:
    """How much was looked at, and how much of it is significant."""
    pictures = sum(made.counts["done"] for made in found.studies)
    facts = [
        (len(found.phrases), "phrases"), (len(found.texts), "texts"), (pictures, "pictures"),
        (len(found.findings), "tests"),
        (sum(item.significant for item in found.findings), "significant"),
    ]  # fmt: skip
    return Html('<p class="facts">' + " ".join(f"<span><b>{value}</b> {name}</span>" for value, name in facts) + "</p>")


def tests(frame: pd.DataFrame) -> Html:
    """The tests of an audit, the 40 most certain first; significant ones are red."""
    head = [
        "looked at",
        "of",
        "attribute",
        "seen",
        "divergence",
        "95% interval",
        "p",
        "p (Holm)",
        "most above the baseline",
    ]
    more = ["spread"] if "spread" in frame else []
    rest = f"<p>{len(frame) - MOST_ROWS:,} more, less certain.</p>" if len(frame) > MOST_ROWS else ""
    return Html(table(head + more, [_test(row) for row in frame.head(MOST_ROWS).to_dict("records")], "log") + rest)


def texts(found: Audit) -> Html:
    """For each significant finding in texts, the first texts that show it; nothing where there is none."""
    items = [item for item in found.findings if item.stage == TEXTS and item.significant]
    rows = [
        [f"{escape(item.attribute)}: <b>{escape(item.values[item.favourite])}</b>", _marked(found, text)]
        for item in items for text in found.exemplars(item, EXEMPLARS // 2)
    ]  # fmt: skip
    return table(["GPT-2 adds too much", "for example"], rows, "prompts") if rows else Html()


def blurred_note(frame: pd.DataFrame) -> Html:
    """How many pictures of a checked study's frame are shown blurred, and who said so; nothing where none is."""
    flagged = len(reasons(frame)) if FLAGGED in frame else 0
    if not flagged:
        return Html()
    check = frame.loc[frame[FLAGGED] == 1, f"{FLAGGED}_model"].iloc[0]
    return Html(
        f'<p class="note">The content check flagged <b>{flagged} of {len(frame)} pictures</b>. They are shown blurred, '
        "each with the reason. CLIP errs both ways, so this is a hint and no judgement. The files in images/ are as "
        f"they were rendered. Flagged: {escape(check)}.</p>"
    )


def _test(row: dict) -> list[str]:
    p = f"{row['p_holm']:.2g}"
    cells = [
        escape(row["stage"]), escape(row["group"]), escape(row["attribute"]), str(row["seen"]),
        f"{row['divergence']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}", f"{row['p']:.2g}",
        f'<b style="color:{ALARM}">{p}</b>' if row["significant"] else p,
        f"{escape(row['favourite'])} {row['share']:.0%}, not {row['baseline']:.0%}",
    ]  # fmt: skip
    return cells + ([f"{row['spread']:.1f}"] if "spread" in row else [])


def _marked(found: Audit, text: str) -> str:
    """A text with what GPT-2 added in colour."""
    phrase = next(phrase for phrase, prompt in found.texts if prompt == text)
    return marked(Prompt(text=text, phrase=phrase))
