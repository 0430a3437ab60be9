"""Which word drew what in one picture, ready for a page that shows it where the pointer rests."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from synth.explain.studied import folder_of
from synth.explain.words import heat
from synth.jobs import Job
from synth.layout.inlining import embedded
from synth.records.files import write_atomically
from synth.records.sources import kept
from synth.serve.answers import Heat, HotWord
from synth.serve.problems import Refused
from synth.studies import Study

LONGEST = 256  # pixels of a map


def kept_heat(study: Study, job: Job) -> Heat | None:
    """What was found for a picture before."""
    path = _path(study, job)
    return Heat.read(json.loads(path.read_bytes())) if path.is_file() else None


def find_heat(study: Study, job: Job, **how: Any) -> Heat:
    """Render a picture again and see which words its pixels attend to; kept in the study's folder explain/."""
    found = next(heat([job], pictures=kept(study.folder, job), **how), None)
    if found is None:
        raise Refused(409, "this picture cannot be rendered again, so that nothing is known of its words")
    maps = found.maps()
    words = [
        HotWord(
            text=word.text, start=word.start, end=word.end, added=word.added, share=round(float(share), 4),
            map=embedded(_grey(values), longest=LONGEST),
        )
        for word, share, values in zip(found.words, found.shares(), maps, strict=True)
    ]  # fmt: skip
    answer = Heat(key=job.key, prompt=job.prompt, words=words)
    folder_of(study)
    write_atomically(_path(study, job), json.dumps(asdict(answer)).encode())
    return answer


def _path(study: Study, job: Job) -> Path:
    return study.folder / "explain" / f"words-{job.key[:16]}.json"


def _grey(values: np.ndarray) -> Image.Image:
    """A map (H, W) from 0 to its highest."""
    return Image.fromarray(np.round(255 * values / max(values.max(), 1e-9)).astype(np.uint8))
