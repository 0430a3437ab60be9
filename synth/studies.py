"""The main job in one call: expand a phrase, render the pictures that are missing, and keep every one with its row.

A study is a folder, `<out>/<slug>-<key8>/`: plan.json (the arguments and the prompts), journal.sqlite (a row for each
picture), images/*.png (each carries its row), and what is made from them: log.csv, log.parquet, grid.png. The same
arguments give the same folder, so running a study again goes on where it stopped.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tqdm import tqdm

from synth import __version__, presets
from synth.errors import InputError, StudyError
from synth.jobs import ExpansionSettings, Job, Result, Settings, check_whole, nearest
from synth.journal import NAME, Journal
from synth.records.axes import Axis
from synth.records.estimates import check_amount
from synth.records.files import LOCK, claimed, made_folder, sweep_temporaries, write_atomically
from synth.records.pictures import is_intact
from synth.records.plans import Plan, check_name, make_plan
from synth.records.recording import Recorder
from synth.records.sources import Given, drawn_over, keep, kept
from synth.writing.prompts import Expansion

if TYPE_CHECKING:
    import pandas
    from PIL.Image import Image

    from synth.plots import NotebookFigure

ROOT = "generated_images"

Engine = Callable[..., Iterator[Result]]
"""Renders jobs: called and answering as `synth.rendering.render`."""


class Study:
    """A study folder: its plan, its prompts, and the rows of its pictures.

    expansion: the prompts, and the candidates that GPT-2 drew (none with people's own prompts).
    """

    def __init__(self, folder: Path, plan: Plan, expansion: Expansion, created: datetime) -> None:
        self.folder, self.plan, self.expansion, self.created = folder, plan, expansion, created

    @classmethod
    def open(cls, study: str | Path, root: str | Path = ROOT) -> Self:
        """The study of that name under `root`, or in that folder. StudyError where there is none, or a damaged one."""
        for folder in (Path(root) / study, Path(study)):
            if os.path.isfile(folder / "plan.json"):  # noqa: PTH113 - Path's raises over names that are too long
                return cls._read(folder)
        plans = (path for depth in ("*", "*/*") for path in Path(root).glob(f"{depth}/plan.json"))  # batches' too
        names = [path.parent.relative_to(root).as_posix() for path in plans]
        hint = f"did you mean {nearest(str(study), names)!r}?" if names else "there is none yet"
        raise StudyError(f"{str(study)[:80]!r} is no study in {root}; {hint}")

    @property
    def name(self) -> str:
        """The folder's name, by which the commands know the study."""
        return self.folder.name

    @cached_property
    def jobs(self) -> list[Job]:
        """Every picture of the study, prompt by prompt, rendered or not."""
        return self.plan.jobs([prompt.text for prompt in self.expansion])

    @property
    def counts(self) -> dict[str, int]:
        """How many pictures are "done", "failed" and "left" (never tried)."""
        with Journal(self.folder) as journal:
            done = len(journal.done())
            failed = sum(row["status"] == "failed" for row in journal.rows())
        return {"done": done, "failed": failed, "left": len(self.jobs) - done - failed}

    def frame(self) -> "pandas.DataFrame":
        """One row a picture (columns: `synth.records.rows.COLUMNS`), failures too.

        Paths are relative to `folder`, which the frame carries as attrs["folder"] for `synth.plots`.
        """
        with Journal(self.folder) as journal:
            frame = journal.frame()
        frame.attrs["folder"] = str(self.folder)
        return frame

    def coordinates(self) -> "pandas.DataFrame":
        """A row for each picture, rendered or not: key, prompt_index, seed, and its label on each axis of the plan."""
        import pandas

        places = self.plan.coordinates(len(self.expansion))
        return pandas.DataFrame([{"key": job.key} | place for job, place in zip(self.jobs, places, strict=True)])

    def measure(self, name: str, values: Mapping[str, float | None], model: str) -> None:
        """Add a measure of pictures, by their keys, to the log, in the place of what was kept under its name.

        model: what measured it, with its version. The log's files are written anew.
        """
        with Journal(self.folder) as journal:
            journal.measure(name, values, model)
            journal.export()

    def export(self) -> tuple[Path, Path]:
        """Write log.csv and log.parquet into the folder and return their paths."""
        with Journal(self.folder) as journal:
            return journal.export()

    def grid(self) -> "NotebookFigure":
        """The pictures, prompts by seeds, as a figure; also written to grid.png."""
        from synth.plots import image_grid

        figure = image_grid(self)
        write_atomically(self.folder / "grid.png", figure.png())
        return figure

    def __repr__(self) -> str:
        counts = ", ".join(f"{number} {name}" for name, number in self.counts.items())
        return f"<Study {self.folder}: {counts}>"

    def missing(self) -> list[Job]:
        """The jobs whose picture is not there, or not intact; what a killed process left is put in order first.

        Whoever calls this, or `recording`, holds the study's lock (`claimed`).
        """
        made_folder(self.folder / "images")
        for folder in (self.folder, self.folder / "images"):
            sweep_temporaries(folder)
        with Journal(self.folder) as journal:
            journal.adopt()
            done = journal.done(is_intact)
        return [job for job in self.jobs if job.key not in done]

    @contextmanager
    def recording(self) -> Iterator[Callable[[Result], None]]:
        """Within the block, what keeps a result of one of `jobs`: its picture, then its row."""
        with Journal(self.folder) as journal:
            yield lambda result: journal.record(result, **self.facts[result.job.key])

    def _render(self, how: dict[str, Any], progress: bool, engine: Engine | None = None) -> None:
        """Render what the journal lacks; finished rows survive whatever ends this."""
        if missing := self.missing():
            self._render_jobs(missing, how, progress, engine or _render_here)
        self.export()

    def _render_jobs(self, missing: list[Job], how: dict[str, Any], progress: bool, engine: Engine) -> None:
        total = len(self.jobs)
        bar = tqdm(desc="rendering", unit=" pictures", total=total, initial=total - len(missing), disable=not progress)

        def show(jobs: Sequence[Job], step: int, steps: int, latents: Any) -> None:
            bar.set_postfix_str(f"step {step} of {steps}")  # a batch of a large model takes minutes

        pictures = kept(self.folder, missing[0])  # all jobs of a study are drawn over the same
        watched = show if progress else None
        rendering = engine(missing, strict=self.plan.strict, pictures=pictures, on_step=watched, **how)
        try:
            with bar, self.recording() as write, Recorder(write) as recorder, closing(rendering) as results:
                for result in results:
                    recorder.put(result)
                    bar.set_postfix_str("", refresh=False)
                    bar.update()
        except KeyboardInterrupt:
            safe = f"{self.counts['done']} of {total} pictures are safe in {self.folder}"
            raise KeyboardInterrupt(f"Stopped: {safe}; run the same again to go on") from None

    def _check_rows(self) -> None:
        """StudyError if the journal has rows of pictures that are not this study's."""
        with Journal(self.folder) as journal:
            others = {row["key"] for row in journal.rows()} - {job.key for job in self.jobs}
        if others:
            remedy = "choose another name, or delete it"
            raise StudyError(f"{self.folder} holds {len(others)} pictures of another study; {remedy}")

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """By key, the columns of a row that neither its job nor its result knows."""
        written = self.expansion.model is not None
        facts = [
            {
                "prompt_index": index,
                "candidate": prompt.candidate if written else None,
                "logprob": prompt.logprob,
                "strict": self.plan.strict,
            }
            for index, prompt in enumerate(self.expansion)
        ]
        places = self.plan.coordinates(len(facts))
        return {job.key: facts[place["prompt_index"]] for job, place in zip(self.jobs, places, strict=True)}

    @classmethod
    def _read(cls, folder: Path) -> Self:
        path = folder / "plan.json"
        try:
            data = json.loads(path.read_bytes())
            plan, expansion = Plan.from_dict(data["plan"]), Expansion.from_dict(data["expansion"])
            return cls(folder, plan, expansion, datetime.fromisoformat(data["created"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            remedy = "delete it and run the same command again: no finished picture is rendered twice"
            raise StudyError(f"{path} is damaged ({error}); {remedy}") from None

    def _write(self) -> None:
        data = {
            "synth": __version__,
            "created": self.created.isoformat(),
            "plan": self.plan.as_dict(),
            "expansion": self.expansion.as_dict(),
        }
        write_atomically(self.folder / "plan.json", json.dumps(data, indent=1, ensure_ascii=False).encode())


def study(
    phrase: str | None = None,
    *,
    prompts: Sequence[str] | None = None,
    n: int = 4,
    seeds: int | Sequence[int] = 4,
    seed: int = 0,
    settings: Settings | None = None,
    model: str = "vignettes",
    loras: Sequence[tuple[str, float]] = (),
    expander: str = "vignettes-gpt2",
    expansion: ExpansionSettings = ExpansionSettings(),
    out: str | Path = ROOT,
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
    strict: bool = False,
    axes: Sequence[Axis | str] = (),
    source: Given | None = None,
    mask: Given | None = None,
    yes: bool = False,
    progress: bool = True,
    engine: Engine | None = None,
) -> Study:
    """Expand a phrase into `n` prompts, render each with every seed, and keep it all in a folder under `out`.

    prompts: people's own instead of GPT-2's, 1 to 10,000 texts; phrase may then be None.
    seeds: how many pictures a prompt gets (their seeds count up from `seed`), or the seeds themselves.
    settings: by default what the model is advised to be used with. model, expander: a preset, hub id or local path.
    name: of the folder; by default a slug of the phrase and the plan's key.
    strict: pixels don't depend on the batch. yes: agree to more than 200 pictures.
    axes: what else is varied, such as "guidance_scale=1,3,5" (synth.records.axes); every combination is rendered.
    source: a picture to draw over, resized and cut to the settings' size, with `settings.strength`; mask: a picture of
    the source's size that is white where it is drawn anew.
    engine: what renders jobs in the place of this process, with the arguments and results of `synth.rendering.render`.

    Run again with the same arguments, it renders only what is missing or failed. A picture that cannot be made is a row
    with status "failed". Raises InputError, ModelError or StudyError before a model is loaded, StudyError also when the
    disk is full; KeyboardInterrupt says how many pictures are safe.
    """
    settings = settings or presets.advised(model)
    pictures = drawn_over(source, mask, settings)
    digests = dict(zip(("source", "mask"), pictures, strict=False))
    plan = make_plan(
        phrase, prompts=prompts, n=n, seeds=seeds, seed=seed, settings=settings, model=model, loras=loras,
        expander=expander, expansion=expansion, strict=strict, axes=axes, **digests,
    )  # fmt: skip
    root = check_root(out)
    check_amount(plan, root, yes)
    plan.check_cells()
    check_machine(device, dtype, batch_size)
    folder = root / (plan.folder_name if name is None else check_name(name))
    with claimed(folder):
        with tqdm(desc="expanding", unit=" candidates", disable=not progress, leave=False, delay=0.1) as bar:
            found = begin(folder, plan, pictures, device, lambda drawn, texts: bar.update(drawn - bar.n))
        found._render({"device": device, "dtype": dtype, "batch_size": batch_size}, progress, engine)
    return found


@dataclass(frozen=True)
class Summary:
    """A line of the list of studies. problem: why it cannot be opened, else empty."""

    name: str
    folder: Path
    phrase: str = ""
    created: datetime | None = None
    done: int = 0
    failed: int = 0
    left: int = 0
    problem: str = ""


def list_studies(root: str | Path = ROOT) -> list[Summary]:
    """The studies under `root` by name; damaged ones are listed with their problem."""
    return [_summary(path.parent) for path in sorted(Path(root).glob("*/plan.json"))]


def delete_study(name: str, root: str | Path = ROOT) -> None:
    """Delete the study of that name, pictures and all. StudyError for what is no study directly under `root`."""
    folder = Path(root) / check_name(name)
    is_study = (folder / "plan.json").is_file() or (folder / NAME).is_file()
    if folder.is_symlink() or not is_study:
        raise StudyError(f"{folder} is no study and was not deleted; `synth study list` shows the studies")
    with claimed(folder):
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != LOCK:
                entry.unlink()
    shutil.rmtree(folder)  # with the lock, which Windows deletes only when nobody holds it


def _summary(folder: Path) -> Summary:
    try:
        found = Study.open(folder)
        phrase = found.plan.phrase or found.plan.prompts[0]
        return Summary(folder.name, folder, phrase, found.created, **found.counts)
    except StudyError as error:
        return Summary(folder.name, folder, problem=str(error))


def check_root(out: str | Path) -> Path:
    """The folder of studies, made if need be; InputError if it cannot be written."""
    root = Path(out)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError("out", str(out), "it is a file: give a folder") from None
    except (OSError, ValueError) as error:
        raise InputError("out", str(out), f"give a folder that can be made ({error})") from None
    if not os.access(root, os.W_OK):
        raise InputError("out", str(out), "give a folder that you may write to")
    return root


def check_machine(device: str, dtype: str, batch_size: int | None) -> None:
    """InputError for a device that is not there, an unknown number format, or a batch of none or of too many."""
    if batch_size is not None:
        check_whole("batch_size", batch_size, 1, 256)
    if (device, dtype) != ("auto", "auto"):
        from synth.models.devices import choose_device, choose_dtype  # here, because torch takes seconds

        choose_dtype(dtype, choose_device(device))


def check_place(folder: Path, plan: Plan) -> Study | None:
    """The study of this plan that `folder` holds already, if it does; StudyError where anything else is in the way."""
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"{folder} is a file; choose another name")
    if (folder / "plan.json").exists():
        found = Study._read(folder)
        if found.plan.key != plan.key:
            changes = "; ".join(found.plan.differences(plan))
            raise StudyError(f"{folder} holds another study ({changes}); choose another name or delete it")
        return found
    if folder.exists() and not (folder / NAME).exists() and any(entry.name[0] != "." for entry in folder.iterdir()):
        raise StudyError(f"{folder} is a folder with other files in it; choose another name")
    return None


def begin(
    folder: Path,
    plan: Plan,
    pictures: Mapping[str, "Image"],
    device: str = "auto",
    progress: Callable[[int, list[str]], None] | None = None,
) -> Study:
    """The study in `folder`, if it has this plan; a new one, expanded and with nothing rendered, if there is none.

    The caller holds the folder's lock (`claimed`). pictures: what it is drawn over, as from
    `synth.records.sources.drawn_over`. progress: see `synth.expansion.expand`.
    """
    found = check_place(folder, plan) or _new(folder, plan, device, progress)
    if found.plan != plan:  # by models that lay elsewhere then
        found = Study(folder, plan, found.expansion, found.created)
        found._write()
    keep(folder, pictures)
    return found


def _new(folder: Path, plan: Plan, device: str, progress: Callable[[int, list[str]], None] | None) -> Study:
    created = Study(folder, plan, _prompts(plan, device, progress), datetime.now(UTC).replace(microsecond=0))
    if (folder / NAME).exists():  # and its plan was lost
        created._check_rows()
    created._write()
    return created


def _render_here(jobs: Sequence[Job], **how: Any) -> Iterator[Result]:
    from synth.rendering import render  # here, because torch takes seconds and a finished study doesn't need it

    return render(jobs, **how)


def _prompts(plan: Plan, device: str, progress: Callable[[int, list[str]], None] | None) -> Expansion:
    from synth.expansion import (  # here, because torch takes seconds and a list of studies needs none
        expand,
        own_prompts,
    )

    if plan.prompts:
        return own_prompts(plan.prompts, renderer=plan.model.name)
    return expand(
        plan.phrase, plan.n, seed=plan.seed, settings=plan.expansion, model=plan.expander.name,
        renderer=plan.model.name, device=device, progress=progress,
    )  # fmt: skip
