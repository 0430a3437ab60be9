"""A list of words that flag prompts: text files that people edit, and a measure in the log."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synth.errors import InputError, StudyError
from synth.models.weights import digest

if TYPE_CHECKING:
    import pandas

    from synth.studies import Study

WORDS = Path(__file__).with_name("words.txt")
COLUMN = "words_flagged"


def read_lines(path: Path | str, field: str) -> list[str]:
    """The lines of a UTF-8 text file, without those that are blank or begin with #; InputError where there is none."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(field, str(path), f"give a text file in UTF-8 that can be read ({error})") from None
    kept = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not kept:
        raise InputError(field, str(path), "write at least one line into it")
    return kept


def flagged_words(text: str, words: Sequence[str]) -> list[str]:
    """Which of `words` stand in a text as words of their own, in any case, also with an -s or -'s at their end.

    >>> flagged_words("Two GUNS, begun", ["gun", "two guns"])
    ['gun', 'two guns']
    """
    return [word for word in words if re.search(_pattern(word), text, re.IGNORECASE)]


def _pattern(word: str) -> str:
    spelled = r"\s+".join(map(re.escape, word.split()))
    return rf"(?<!\w){spelled}(?:'?s|es)?(?!\w)"


def flag_prompts(study: "Study", words: Path | str | None = None) -> "pandas.DataFrame":
    """Count a list's words in each prompt, as the measure words_flagged in the log; no picture is changed or hidden.

    words: a text file with a word on each line; by default Synth's own short list.
    Returns a row for each prompt that is flagged: prompt_index, prompt, words. InputError for a list that cannot be
    read, StudyError where nothing was rendered yet.
    """
    import pandas

    path = Path(words) if words is not None else WORDS
    known = read_lines(path, "words")
    frame = study.frame()
    if frame.empty:
        raise StudyError(f"{study.folder} has no pictures yet, and so no log; run the study first")
    found = {prompt: flagged_words(prompt, known) for prompt in frame["prompt"].unique()}
    values = {row.key: float(len(found[row.prompt])) for row in frame.itertuples()}
    study.measure(COLUMN, values, f"words of the list {path.name} {digest(path)}")
    prompts = frame.drop_duplicates(["prompt_index", "prompt"])
    rows = [(row.prompt_index, row.prompt, ", ".join(found[row.prompt])) for row in prompts.itertuples()]
    flagged = [row for row in rows if row[2]]
    return pandas.DataFrame(flagged, columns=["prompt_index", "prompt", "words"]).astype({
        "prompt": "string", "words": "string",
    })  # fmt: skip
