"""Studies without models: real folders, plans, journals and PNGs, with plain coloured pictures in them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image

from synth.jobs import ExpansionSettings, ModelRef, Result, Settings
from synth.journal import Journal
from synth.records.plans import Plan, make_plan
from synth.reporting import MAIN, notebook_path
from synth.studies import Study
from synth.writing.prompts import Expansion, Prompt

PHRASE = "a red lighthouse"
ADDED = (" at sunset, in the rain", " by the sea, oil painting", " on a green hill")
VIGNETTES = ModelRef(name="vignettes", digest="sha256:" + "0" * 64)
GPT2 = ModelRef(name="vignettes-gpt2", digest="sha256:" + "1" * 64)


def make_study(
    folder: Path, phrase: str = PHRASE, added=ADDED, *, seeds=(0, 1), failed=(), size: int = 64, **more
) -> Study:
    """A study of `phrase` with a prompt for each of `added`; failed: (prompt index, seed) of pictures that failed.

    more: `truncated`, {prompt index: its end that the renderer never saw}; `model`, a ModelRef.
    """
    cut = more.get("truncated", {})
    prompts = tuple(
        Prompt(
            text=phrase + words,
            phrase=phrase,
            candidate=index,
            logprob=-4.0 - index,
            new_tokens=4,
            truncated=cut.get(index, ""),
        )
        for index, words in enumerate(added)
    )
    spare = Prompt(
        text=phrase + " <i>not chosen</i>", phrase=phrase, candidate=9, logprob=-9.0, new_tokens=3, fate="not chosen"
    )
    plan = Plan(
        phrase=phrase, prompts=(), n=len(added), seeds=tuple(seeds), seed=0, settings=Settings(width=size, height=size),
        model=more.get("model", VIGNETTES), expander=GPT2, expansion=ExpansionSettings(), strict=False,
    )  # fmt: skip
    expansion = Expansion(
        phrase=phrase, prompts=prompts, candidates=(*prompts, spare), model=GPT2, settings=ExpansionSettings(), seed=0
    )
    return fill_study(folder, plan, expansion, failed)


def own_prompts_study(request: dict[str, Any], root: Path) -> Study:
    """The study that `synth.study(**request)` would make of people's own prompts, with made-up pictures."""
    for name in ("out", "device", "yes"):
        request.pop(name)
    name, plan = request.pop("name"), None
    plan = make_plan(**request)
    prompts = tuple(Prompt(text=text, phrase=text) for text in plan.prompts)
    failed = [(index, plan.seeds[-1]) for index, text in enumerate(plan.prompts) if "half" in text]
    return fill_study(root / (name or plan.folder_name), plan, Expansion(phrase="", prompts=prompts), failed)


def fill_study(folder: Path, plan: Plan, expansion: Expansion, failed=()) -> Study:
    """Write a study's files, with a picture in one colour for each job."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    study = Study(folder, plan, expansion, datetime.now(UTC).replace(microsecond=0))
    study._write()
    with Journal(folder) as journal:
        for number, job in enumerate(study.jobs):
            index = number // len(plan.seeds)
            good = (index, job.seed) not in failed
            colour = (40 * index % 256, 90 * job.seed % 256, 120)
            result = Result(
                job=job, status="done" if good else "failed", error="" if good else "out of memory <b>twice</b>",
                image=Image.new("RGB", (plan.settings.width, plan.settings.height), colour) if good else None,
                seconds=1.0 + 0.1 * number, device="cpu", dtype="float32", batch_size=4 if number < 4 else 2,
                prompt_tokens=90 if expansion[index].truncated else 12, truncated=expansion[index].truncated,
            )  # fmt: skip
            facts = (
                {"candidate": index, "logprob": expansion[index].logprob}
                if plan.phrase
                else {"candidate": None, "logprob": None}
            )
            journal.record(result, prompt_index=index, strict=False, **facts)
        journal.export()
    return study


def write_notebook(path: Path) -> Path:
    """A notebook with the real one's parameters that makes such a study of its prompts; "boom" among them raises."""
    real = json.loads(notebook_path(MAIN).read_text())
    parameters, study = ("".join(cell["source"]) for cell in real["cells"] if cell["id"] in ("parameters", "study"))
    arguments = study[study.index("arguments =") : study.index("study = ")]
    body = f"""
import sys
from pathlib import Path
from made_up_studies import own_prompts_study
from synth.layout.parameters import study_arguments
{arguments}
if "boom" in prompts:
    raise ValueError("boom\\nand more")
print(sys.executable)
study = own_prompts_study(arguments, Path(out))
"""
    cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell(body)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=real["metadata"]), path)
    return path
