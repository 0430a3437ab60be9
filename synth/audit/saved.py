"""Where audits are kept: checks of one study in its folder audit/, others in a folder beside the studies."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.jobs import content_key
from synth.records.files import made_folder, write_atomically
from synth.records.plans import slug
from synth.studies import Study

FOLDER = "audit"


def folder_within(study: Study) -> Path:
    """<study>/audit, made if need be."""
    return made_folder(study.folder / FOLDER)


def folder_beside(studies: Sequence[Study], asked: Mapping[str, Any]) -> Path:
    """The folder of an audit of some studies, made if need be, with audit.json, which says what was asked.

    asked: everything that decides what is found; another question has another folder.
    """
    first = studies[0]
    name = f"{FOLDER}-{slug(first.plan.phrase or first.plan.prompts[0])}-{content_key(asked)[:8]}"
    folder = made_folder(first.folder.with_name(name))
    write_atomically(folder / "audit.json", json.dumps(asked, indent=1, ensure_ascii=False).encode())
    return folder
