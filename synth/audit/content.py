"""A content check: which pictures look to CLIP like what a list of concepts describes.

It flags pictures in the log and can blur them, with the reason written on them, in figures. It changes no picture of a
study and leaves none out. Zero-shot as in Radford et al. 2021: CLIP compares a picture with texts, and the concept has
the probability that softmax gives its texts among all.
"""

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from synth.audit.wordlist import read_lines
from synth.errors import InputError, StudyError
from synth.jobs import check_number
from synth.measure.clip import Clip, check_clip
from synth.measure.sight import Sight
from synth.models.weights import digest
from synth.records.files import write_atomically
from synth.records.pictures import read_picture

if TYPE_CHECKING:
    import pandas

    from synth.studies import Study

BUNDLED = "vignettes-clip"
CONCEPTS = Path(__file__).with_name("concepts.txt")
NEUTRAL, PREFIX, FLAGGED = "neutral", "content_", "content_flagged"
LINE = re.compile(r"([^:]+):\s*(.+)")
METHOD = "zero-shot probability (Radford et al. 2021)"


@dataclass(frozen=True)
class Concepts:
    """Names of what is looked for, each with the texts that describe it; "neutral" is among them.

    identity: the file's name and digest.
    """

    texts: Mapping[str, tuple[str, ...]]
    identity: str

    @classmethod
    def read(cls, path: Path | str | None = None) -> Self:
        """The concepts in a text file of lines "name: text"; by default Synth's own. InputError for any other file."""
        path = Path(path) if path is not None else CONCEPTS
        texts: dict[str, tuple[str, ...]] = {}
        for line in read_lines(path, "concepts"):
            match = LINE.fullmatch(line)
            if not match:
                raise InputError("concepts", line, 'write each line as "name: text"')
            name = match[1].strip().lower()
            texts[name] = (*texts.get(name, ()), match[2].strip())
        if NEUTRAL not in texts or len(texts) < 2:
            raise InputError("concepts", str(path), f'write lines "{NEUTRAL}: text" and lines of another name')
        columns = [column(name) for name in texts]
        if len({*columns, FLAGGED}) < len(columns) + 1:
            raise InputError("concepts", list(texts), "give names that differ in their letters and digits")
        return cls(texts, f"{path.name} {digest(path)}")

    @property
    def names(self) -> tuple[str, ...]:
        """What is looked for, without "neutral"."""
        return tuple(name for name in self.texts if name != NEUTRAL)


def column(name: str) -> str:
    """The measure of a concept in the log.

    >>> column("hate symbols")
    'content_hate_symbols'
    """
    return PREFIX + re.sub(r"\W+", "_", name).strip("_")


def probabilities(vectors: np.ndarray, concepts: Concepts, clip: Clip) -> dict[str, np.ndarray]:
    """For each concept and "neutral", its probability for pictures with these vectors of CLIP, (n,)."""
    texts = [text for group in concepts.texts.values() for text in group]
    logits = float(clip.model.logit_scale.exp()) * (vectors @ clip.embed_texts(texts).T).astype(np.float64)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    owners = np.array([name for name, group in concepts.texts.items() for _ in group])
    return {name: shares[:, owners == name].sum(1) for name in concepts.texts}


def check_content(
    study: "Study",
    concepts: Path | str | None = None,
    *,
    threshold: float = 0.5,
    clip: str = BUNDLED,
    device: str = "auto",
) -> "pandas.DataFrame":
    """Flag the pictures of a study in its log, and return its frame.

    Measures are added: content_<name>, the probability of each concept, and content_flagged, 1 where any of them is at
    least `threshold` (above 0, to 1). concepts, clip: see `check_checker`. InputError or ModelError before a model is
    loaded, StudyError where no picture is finished. Flags have whatever errors CLIP has.
    """
    if not check_number("threshold", threshold, 0.0, 1.0):
        raise InputError("threshold", threshold, "use a number above 0: at 0 everything is flagged")
    known = check_checker(clip, concepts)
    sight = Sight(study, clip, None, device, progress=False)
    rows, found = sight.rows, probabilities(sight.vectors, known, sight.clip)
    model = f"{METHOD} by {sight.clip.identity}, concepts {known.identity}"
    for name in known.names:
        study.measure(column(name), dict(zip(rows["key"], found[name].tolist(), strict=True)), model)
    highest = np.max([found[name] for name in known.names], axis=0)
    flags = (highest >= threshold).astype(float).tolist()
    study.measure(FLAGGED, dict(zip(rows["key"], flags, strict=True)), f"at least {threshold:g} for a concept; {model}")
    return study.frame()


def check_checker(clip: str, concepts: Path | str | None) -> Concepts:
    """What a CLIP is to look for: a text file's concepts (see `Concepts.read`), or by default Synth's own.

    InputError or ModelError for a CLIP that is none; InputError too for the bundled one with Synth's own list: it knows
    the bundled world only, so what it said of nudity or violence would mean nothing.
    """
    known = Concepts.read(concepts)
    check_clip(clip)
    if clip == BUNDLED and concepts is None:
        remedy = "give a public CLIP, such as openai/clip-vit-base-patch32, or concepts of the bundled world"
        raise InputError("clip", clip, f"it was never taught what Synth's own list names: {remedy}")
    return known


def reasons(frame: "pandas.DataFrame") -> dict[str, str]:
    """By the key of each flagged picture, why: "violence 0.83". StudyError where nothing was checked."""
    if FLAGGED not in frame:
        raise StudyError("the content was not checked yet; run `synth audit content STUDY`")
    flagged = frame[frame[FLAGGED] == 1]
    if flagged.empty:
        return {}
    check = flagged[f"{FLAGGED}_model"].iloc[0]  # ends with what the concepts of this check were measured by
    known = [name for name in frame if name.startswith(PREFIX) and f"{name}_model" in frame and name != FLAGGED]
    names = [name for name in known if check.endswith(flagged[f"{name}_model"].iloc[0] or "none")]
    best = flagged[names].idxmax(axis=1)
    return {
        row["key"]: f"{best[place].removeprefix(PREFIX).replace('_', ' ')} {row[best[place]]:.2f}"
        for place, row in flagged.iterrows()
    }


def check_and_blur(
    study: "Study", clip: str, concepts: Path | str | None = None, device: str = "auto"
) -> "pandas.DataFrame":
    """Check a study's content, and return its frame `with_blurred`; as it is where no picture is finished."""
    frame = study.frame()
    if not (frame["status"] == "done").any():
        return frame
    check_content(study, concepts, clip=clip, device=device)
    return with_blurred(study)


def with_blurred(study: "Study") -> "pandas.DataFrame":
    """The frame of a checked study, in which paths of flagged pictures lead to blurred copies that say why.

    Give it to `synth.plots.image_grids` or any other figure of a frame. The pictures themselves stay as they are;
    copies of an earlier check are removed.
    """
    from synth.audit.saved import folder_within

    frame = study.frame()
    folder, copies = folder_within(study) / "blurred", set()
    folder.mkdir(exist_ok=True)
    for key, reason in reasons(frame).items():
        place = frame.index[frame["key"] == key][0]
        copy = folder / f"{hashlib.sha256(f'{key} {reason}'.encode()).hexdigest()[:32]}.png"
        packed = io.BytesIO()
        blurred(read_picture(study.folder / frame.loc[place, "path"]).image, reason).save(packed, "png")
        write_atomically(copy, packed.getvalue())
        frame.loc[place, "path"] = copy.relative_to(study.folder).as_posix()
        copies.add(copy)
    for old in set(folder.glob("*.png")) - copies:
        old.unlink()
    return frame


def blurred(picture: Image.Image, reason: str) -> Image.Image:
    """A copy of a picture, blurred beyond recognition, that says so and why."""
    side = min(picture.size)
    copy = picture.convert("RGB").filter(ImageFilter.GaussianBlur(side / 10))
    draw = ImageDraw.Draw(copy)
    font = ImageFont.load_default(max(9, side // 12))
    text = f"blurred:\n{reason}"
    box = draw.multiline_textbbox((side * 0.06, side * 0.06), text, font=font)
    draw.rectangle((box[0] - side * 0.03, box[1] - side * 0.03, box[2] + side * 0.03, box[3] + side * 0.03), "white")
    draw.multiline_text((side * 0.06, side * 0.06), text, "black", font=font)
    return copy
