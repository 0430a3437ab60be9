"""What a row of the journal is: its columns and types, where each comes from, and how it looks in a table or CSV."""

import re
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from synth import __version__
from synth.jobs import Job, Result, canonical_json

if TYPE_CHECKING:
    import pandas

# column: SQLite type, pandas type. The order is the order of every export.
COLUMNS = {
    "key": ("TEXT", "string"),
    "phrase": ("TEXT", "string"),
    "prompt": ("TEXT", "string"),
    "prompt_index": ("INTEGER", "int64"),
    "seed": ("INTEGER", "int64"),
    "negative_prompt": ("TEXT", "string"),
    "scheduler": ("TEXT", "string"),
    "steps": ("INTEGER", "int64"),
    "guidance_scale": ("REAL", "float64"),
    "guidance_rescale": ("REAL", "float64"),
    "eta": ("REAL", "float64"),
    "width": ("INTEGER", "int64"),
    "height": ("INTEGER", "int64"),
    "model": ("TEXT", "string"),
    "revision": ("TEXT", "string"),
    "digest": ("TEXT", "string"),
    "loras": ("TEXT", "string"),
    "device": ("TEXT", "string"),
    "dtype": ("TEXT", "string"),
    "batch_size": ("INTEGER", "int64"),
    "strict": ("INTEGER", "bool"),
    "seconds": ("REAL", "float64"),
    "prompt_tokens": ("INTEGER", "int64"),
    "truncated": ("TEXT", "string"),
    "candidate": ("INTEGER", "Int64"),
    "logprob": ("REAL", "float64"),
    "path": ("TEXT", "string"),
    "pixels_sha256": ("TEXT", "string"),
    "status": ("TEXT", "string"),
    "error": ("TEXT", "string"),
    "notes": ("TEXT", "string"),
    "created": ("TEXT", "datetime64[us, UTC]"),
    "synth": ("TEXT", "string"),
    "torch": ("TEXT", "string"),
    "diffusers": ("TEXT", "string"),
    "transformers": ("TEXT", "string"),
    # What the first journals did not have; see the migrations in synth/journal.py.
    "timestep_spacing": ("TEXT", "string"),
    "respacing": ("TEXT", "string"),
    "timesteps": ("TEXT", "string"),
    "sigmas": ("TEXT", "string"),
    "strength": ("REAL", "float64"),
    "postprocess": ("TEXT", "string"),
    "source": ("TEXT", "string"),
    "mask": ("TEXT", "string"),
    "guidance_interval": ("TEXT", "string"),
    "precision": ("TEXT", "string"),
}

FORMULA = re.compile(r"'*[=+\-@\t]")  # what a spreadsheet would compute, and what is already escaped


def job_columns(job: Job) -> dict[str, Any]:
    """The columns that the job alone decides."""
    return {
        "key": job.key,
        "phrase": job.phrase,
        "prompt": job.prompt,
        "seed": job.seed,
        **asdict(job.settings),
        "source": job.source,
        "mask": job.mask,
        "model": job.model.name,
        "revision": job.model.revision or "",
        "digest": job.model.digest or "",
        "loras": canonical_json(job.model.loras),
    }


def result_columns(result: Result) -> dict[str, Any]:
    """The columns that tell how a result was computed, when, and by which versions."""
    return {
        "status": result.status,
        "error": result.error,
        "notes": "; ".join(result.notes),
        "device": result.device,
        "dtype": result.dtype,
        "batch_size": result.batch_size,
        "seconds": result.seconds,
        "prompt_tokens": result.prompt_tokens,
        "truncated": result.truncated,
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **versions(),
    }


@cache
def versions() -> dict[str, str]:
    """The versions of the libraries that decide pixels."""
    return {"synth": __version__} | {name: version(name) for name in ("torch", "diffusers", "transformers")}


def as_frame(rows: list[dict[str, Any]]) -> "pandas.DataFrame":
    """A tidy DataFrame: one picture a row, columns and types as COLUMNS says, `created` in UTC."""
    import pandas

    frame = pandas.DataFrame(rows, columns=list(COLUMNS))
    frame["created"] = pandas.to_datetime(frame["created"], utc=True, format="ISO8601")
    return frame.astype({name: dtype for name, (_, dtype) in COLUMNS.items()})


def with_measures(frame: "pandas.DataFrame", measures: list[dict[str, Any]]) -> "pandas.DataFrame":
    """The frame with two columns more for each measure: its values, and under <name>_model what measured them."""
    for name in dict.fromkeys(item["name"] for item in measures):
        mine = {item["key"]: item for item in measures if item["name"] == name}
        frame[name] = [float("nan") if (found := mine.get(key)) is None else found["value"] for key in frame["key"]]
        models = [mine[key]["model"] if key in mine else "" for key in frame["key"]]
        frame = frame.astype({name: "float64"}).assign(**{f"{name}_model": models})
        frame = frame.astype({f"{name}_model": "string"})
    return frame


def to_csv(frame: "pandas.DataFrame") -> bytes:
    """UTF-8 CSV. A text that a spreadsheet would run as a formula gets an apostrophe; `read_log` removes it."""
    texts = frame.select_dtypes("string").columns
    safe = frame.assign(**{name: frame[name].map(_escape) for name in texts})
    return safe.to_csv(index=False, lineterminator="\n").encode()


def read_log(path: Path | BinaryIO) -> "pandas.DataFrame":
    """The frame that was written to a log.csv, text for text: the inverse of `to_csv`."""
    import pandas

    cells = pandas.read_csv(path, dtype=str, keep_default_na=False, lineterminator="\n")
    numbers = [name for name, (kind, _) in COLUMNS.items() if kind != "TEXT"]
    rows = cells.map(_unescape)
    rows["strict"] = rows["strict"] == "True"
    rows[numbers] = rows[numbers].mask(rows[numbers] == "", None)
    rows["candidate"] = pandas.to_numeric(rows["candidate"])
    others = {name: rows[name] for name in rows if name not in COLUMNS}  # measures
    typed = {
        name: values.astype("string") if name.endswith("_model") else pandas.to_numeric(values)
        for name, values in others.items()
    }
    return as_frame(rows.to_dict("records")).assign(**typed)


def _escape(text: str) -> str:
    return f"'{text}" if FORMULA.match(text) else text


def _unescape(text: str) -> str:
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text
