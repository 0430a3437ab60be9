"""What notebooks/5_fine_tune.ipynb does: its parameters, checked before any of it begins, and its steps."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from synth.errors import InputError
from synth.jobs import check_number, check_text, check_whole, content_key
from synth.models.devices import choose_device
from synth.presets import advised, resolve
from synth.records.files import write_atomically
from synth.train.data.preparation import prepare
from synth.train.data.prepared import FACTS, PreparedSet
from synth.train.data.sources import detect, files_key
from synth.train.drawings import Asked, draw
from synth.train.evaluation import Evaluation, evaluate
from synth.train.experiments import fetch_experiments
from synth.train.params import Data, Evaluate, Params, Train
from synth.train.runs import Run, train
from synth.train.sweeps import own_folder, variants
from synth.vignettes.lessons import write_lesson

LESSON, DVC = "lesson", "dvc"
ROWS = 4  # validations of a training, each of which draws a row of samples
DRAW_STEPS = 12  # of the scheduler for each picture: fewer than advised, and enough to tell


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """A fine-tuning to be done; every value is checked on construction, and no weights are loaded for that.

    data: "lesson" (pictures in a style that the bundled model was never taught), "vignettes", a folder of captioned
        pictures, a prepared set, or a hub data set id.
    pictures: of the lesson. rehearsal: share of them that are ordinary pictures, 0 to 1.
    size: of the pictures, in pixels; a prepared set has its own.
    model: what it starts from: a preset, hub id or folder.
    steps, lora_rank, learning_rate: as in Train. seed: of the lesson and of the training.
    sweep: trainings with each combination of these values instead of one, as `sweeps.variants` reads it.
    runs: other trainings to compare with: a folder that holds them, a pattern such as "trials/*/run", or "dvc" for what
        `dvc exp run` left in this repository; "" for none.
    drawn: pictures that are drawn before and after, to be counted.
    out: folder of everything that is made. device: as in `choose_device`.
    """

    data: str = LESSON
    pictures: int = 256
    rehearsal: float = 0.25
    size: int = 128
    model: str = "vignettes"
    steps: int = 120
    lora_rank: int = 0
    learning_rate: float = 5e-4
    seed: int = 0
    sweep: str = ""
    runs: str = ""
    drawn: int = 48
    out: str = "fine_tuned"
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("data", "model", "out"):
            check_text(name, getattr(self, name))
        for name in ("sweep", "runs"):
            check_text(name, getattr(self, name), empty=True)
        check_whole("pictures", self.pictures, 2, 1_000_000)
        check_number("rehearsal", self.rehearsal, 0.0, 1.0)
        check_whole("drawn", self.drawn, 1, 600)
        choose_device(self.device)
        resolve(self.model, "renderer")
        if not (self.is_lesson or self._is_prepared):
            detect(self.data)
        if Path(self.out).exists() and not Path(self.out).is_dir():
            raise InputError("out", self.out, "it is a file: give a folder")
        _ = self.variants, self.others  # their errors too come before anything is done

    @property
    def is_lesson(self) -> bool:
        """Whether it teaches Synth's own lesson, and not somebody's pictures."""
        return self.data == LESSON

    @cached_property
    def variants(self) -> list[Params]:
        """The parameters of each training: one, or as many as the sweep has combinations."""
        guidance = advised(self.model).guidance_scale
        params = Params(
            data=Data(source=self._source, size=self.size, seed=self.seed),
            train=Train(base=self.model, ema=0.95, keep_last=1),
            evaluate=Evaluate(pictures=self.drawn, steps=DRAW_STEPS, guidance_scale=guidance, noises=2),
        ).but("train", **{name: getattr(self, name) for name in ("steps", "lora_rank", "learning_rate", "seed")})
        every = -(-self.steps // ROWS)
        params = params.but("train", warmup=min(50, self.steps // 10), validate_every=every, checkpoint_every=every)
        found = variants(params, self.sweep) if self.sweep.strip() else [params]
        if {(item.train.kind, item.train.base) for item in found} != {("unet", self.model)}:
            raise InputError("sweep", self.sweep, "leave kind and base out: all trainings are of one model's UNet")
        if len({item.train.prediction for item in found}) > 1:
            remedy = "use one prediction: losses of noise and of v are in different units"
            raise InputError("sweep", self.sweep, remedy)
        return found

    @cached_property
    def others(self) -> list[Path]:
        """The folders of the trainings to compare with."""
        if self.runs.strip() == DVC:
            return fetch_experiments(Path(self.out) / "experiments")
        return find_runs(self.runs)

    def prepare(self) -> PreparedSet:
        """Pictures and captions, made ready unless they are already; raises as `data.preparation.prepare` does."""
        if self._is_prepared:
            return PreparedSet.open(self.data)
        data = self.variants[0].data
        state = "" if self.is_lesson else files_key(data)
        out = Path(self.out) / f"data-{content_key([asdict(data), state])[:6]}"
        if self.is_lesson and not (out / FACTS).is_file():
            write_lesson(Path(data.source), self.pictures, self.size, rehearsal=self.rehearsal, seed=self.seed)
        return prepare(data, out, progress=False)

    def folder(self, params: Params, prepared: PreparedSet) -> Path:
        """Where the training of a variant is; started again with the same data, it goes on there."""
        return own_folder(Path(self.out), params, prepared.digest)

    def train(self, params: Params, prepared: PreparedSet) -> Run:
        """Train a variant to its end; raises as `runs.train` does."""
        return train(params, prepared.folder, self.folder(params, prepared), device=self.device)

    def pair(self, asked: Sequence[Asked], run: Run, size: int) -> tuple[list[Image.Image], list[Image.Image]]:
        """Pictures of captions by the model it starts from and by a run's best, from the same noise."""
        how = self.variants[0].evaluate
        settings = advised(self.model, "exact").but(steps=how.steps, width=size, height=size)
        kept = Path(self.out) / "drawings"
        before, after = (draw(asked, model, settings, kept, self.device) for model in (self.model, str(run.best)))
        return before, after

    def measure(self, run: Run) -> Evaluation:
        """The run's figures and those of what it started from, measured once."""
        how, mark = self.variants[0].evaluate, run.folder / "evaluation" / "measured.txt"
        key = content_key([asdict(how), run.best.name, run.figures])
        if not mark.is_file() or mark.read_text(encoding="utf-8") != key:
            evaluate(run.folder, how=how, device=self.device)
            write_atomically(mark, key.encode())
        return Evaluation.read(run.folder)

    @property
    def _source(self) -> str:
        if not self.is_lesson:
            return self.data
        what = content_key([self.pictures, self.rehearsal, self.size, self.seed])[:6]
        return str(Path(self.out) / f"{LESSON}-{what}")  # a folder of its own, as pictures without a caption would stay

    @property
    def _is_prepared(self) -> bool:
        return (Path(self.data) / FACTS).is_file()


def find_runs(pattern: str) -> list[Path]:
    """The trainings in a folder, or in those that a pattern matches, at any depth; InputError if there are none."""
    if not pattern.strip():
        return []
    path = Path(pattern).expanduser()
    try:
        folders = [path] if path.is_dir() else list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    except ValueError:  # "**" beside other characters
        folders = []
    found = sorted({log.parent for folder in folders for log in folder.rglob("log.jsonl")})
    if not found:
        raise InputError("runs", pattern, "give a folder with trainings in it, or a pattern such as trials/*/run")
    return found


def best(done: Sequence[Run]) -> Run:
    """The training that came to the lowest loss on held-out pictures, the first of equals."""
    return min(done, key=lambda run: run.figures["loss"])
