"""What is explained, the pictures of a study, and where its explanations are kept: in its folder explain/."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from synth.errors import StudyError
from synth.jobs import Job, check_whole
from synth.journal import Journal
from synth.records.files import made_folder
from synth.records.pictures import read_picture
from synth.records.sources import kept
from synth.studies import Study

FOLDER = "explain"


def jobs_of(study: Study, prompt_index: int | None = None) -> list[Job]:
    """The jobs of a prompt, or of all, in the order of their seeds; of a sweep, those of its first combination."""
    if prompt_index is not None:
        check_whole("prompt_index", prompt_index, 0, len(study.expansion) - 1)
    seeds = len(study.plan.seeds)
    every = study.jobs[: len(study.expansion) * seeds]
    return every if prompt_index is None else every[prompt_index * seeds : (prompt_index + 1) * seeds]


def pictures_of(study: Study, jobs: Sequence[Job]) -> dict[str, Image.Image]:
    """The finished pictures among `jobs`, by their keys. StudyError where there is none, or where one is damaged."""
    with Journal(study.folder) as journal:
        done = journal.done()
        found = {job.key: read_picture(journal.picture_path(job)).image for job in jobs if job.key in done}
    if not found:
        raise StudyError(f"{study.folder} has no finished picture to explain; `synth log {study.folder}` says why")
    return found


def sources_of(study: Study) -> dict[str, Image.Image]:
    """What the pictures of a study are drawn over, by digest, as `render` wants it."""
    return kept(study.folder, study.jobs[0])


def folder_of(study: Study) -> Path:
    """<study>/explain, made if need be."""
    return made_folder(study.folder / FOLDER)
