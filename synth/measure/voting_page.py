"""The page on which people vote: one HTML file with everything in it, which opens offline on a phone as on a desk.

A voter sees two pictures under their phrase and nothing of how they were made: no file name, no prompt, no metadata,
and the order is drawn by lot. The votes stay in the browser until they are saved as a file (see synth.measure.ballots).
"""

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.errors import InputError
from synth.jobs import MAX_SEED, check_whole, content_key
from synth.layout.inlining import digest_of, embedded
from synth.layout.publishing import LAYOUTS, fill
from synth.measure.ballots import FORMAT
from synth.measure.pairs import rounds
from synth.measure.sight import finished
from synth.records.files import write_atomically
from synth.records.pictures import read_picture

if TYPE_CHECKING:
    import pandas

    from synth.studies import Study

NAME = "votes.html"
MOST_PICTURES = 200
LONGEST_SIDE = 512  # pixels


def write_page(
    study: "Study", path: str | Path | None = None, *, pairs: int = 30, pictures: int | None = None, seed: int = 0
) -> Path:
    """Write the page of a study, by default as votes.html into its folder, and return its path.

    pairs: how many each voter is asked about, 1 to 500, or all if there are fewer. A pair has one phrase; each voter
    begins elsewhere in the list of pairs, so that many voters together see every pair equally often.
    pictures: how many of the finished ones, 2 to 200, drawn by lot; by default all.
    seed: of what is drawn by lot; the same one gives the same page.
    InputError where no two pictures have one phrase, and for more pictures than phones like; StudyError as for a study
    without pictures.
    """
    check_whole("pairs", pairs, 1, 500)
    check_whole("seed", seed, 0, MAX_SEED)
    rows = _drawn_by_lot(finished(study), pictures, seed)
    path = study.folder / NAME if path is None else Path(path)
    write_atomically(path, _page(study, rows, pairs, seed).encode())
    return path


def _drawn_by_lot(rows: "pandas.DataFrame", pictures: int | None, seed: int) -> "pandas.DataFrame":
    """Some rows, or all, in an order that tells nothing; only those whose phrase others have too."""
    if pictures is not None:
        check_whole("pictures", pictures, 2, MOST_PICTURES)
    places = random.Random(seed).sample(range(len(rows)), min(len(rows), pictures or len(rows)))
    rows = rows.iloc[places]
    rows = rows[rows.groupby("phrase")["key"].transform("size") > 1]
    if rows.empty:
        raise InputError("study", len(places), "pairs need two finished pictures of one phrase: render more seeds")
    if len(rows) > MOST_PICTURES:
        raise InputError("pictures", len(rows), f"have at most {MOST_PICTURES} of them drawn by lot (--pictures 60)")
    return rows.reset_index(drop=True)


def _page(study: "Study", rows: "pandas.DataFrame", pairs: int, seed: int) -> str:
    phrases = list(rows["phrase"].unique())
    of_phrase = [list(rows.index[rows["phrase"] == phrase]) for phrase in phrases]
    made = rounds(of_phrase, seed)
    pairs = min(pairs, sum(map(len, made)))
    identity = content_key({"study": study.plan.key, "keys": list(rows["key"]), "pairs": pairs, "seed": seed})[:16]
    script = (LAYOUTS / "votes" / "ballot.js").read_text(encoding="utf-8")
    return fill(
        "votes/page.html.j2",
        pairs=pairs,
        page={
            "format": FORMAT, "study": study.plan.key, "page": identity, "pairs": pairs, "phrases": phrases,
            "rounds": made, "pictures": [_shown(row, study.folder, phrases) for row in rows.to_dict("records")],
        },
        script=script,
        script_digest=digest_of(script),
    )  # fmt: skip


def _shown(row: dict[str, Any], folder: Path, phrases: list[str]) -> dict[str, Any]:
    """What the page holds of a picture: its key, the place of its phrase, and its pixels without their metadata."""
    data = embedded(read_picture(folder / row["path"]).image, "JPEG", LONGEST_SIDE, quality=95, subsampling=0)
    return {"key": row["key"], "phrase": phrases.index(row["phrase"]), "data": data}
