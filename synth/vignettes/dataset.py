"""Vignettes in bulk: an array of pictures for the trainer, or an image folder for anyone.

Picture i of a set is a function of (split, i) alone, so that a set can be rendered by any number of processes, in any
order, and prolonged later.
"""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from tqdm import tqdm

from synth.vignettes.attributes import Scene, held_out_scene, training_scene
from synth.vignettes.captions import caption, prompt
from synth.vignettes.world import draw

SIZE = 128
SPLITS = ("train", "held-out")
_CHUNK = 64


def scene_at(split: str, index: int) -> Scene:
    """The scene of picture `index` of a split; scenes of "held-out" never occur in "train"."""
    choose = held_out_scene if split == "held-out" else training_scene
    return choose(random.Random(f"{split} scene {index}"))


def picture_seed(split: str, index: int) -> int:
    """The seed that `draw` is given for picture `index`: even for training, odd for held-out pictures."""
    return 2 * index + (split == "held-out")


def random_prompt(rng: random.Random) -> str:
    """A prompt for a random scene that is not held out, as GPT-2 is taught."""
    return prompt(training_scene(rng), rng)


@dataclass(frozen=True)
class PictureSet:
    """Pictures and what they show.

    pictures: uint8 array of shape (count, 128, 128, 3), usually mapped from a file.
    scenes: one for each picture.
    """

    pictures: np.ndarray
    scenes: list[Scene]

    def __len__(self) -> int:
        return len(self.scenes)

    def caption(self, index: int, rng: random.Random) -> str:
        """One of the many captions of a picture."""
        return caption(self.scenes[index], rng)


def render_set(folder: Path, split: str, count: int, *, workers: int = 1) -> PictureSet:
    """The first `count` pictures of a split, rendered into `<folder>/<split>.npy` unless they are there already.

    Killed and called again, it goes on with the chunk it was at.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{split}-{count}.npy"
    progress = path.with_suffix(".done")
    if not path.exists():
        open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, SIZE, SIZE, 3)).flush()
    done = set(progress.read_text().split()) if progress.exists() else set()
    chunks = [start for start in range(0, count, _CHUNK) if str(start) not in done]
    if chunks:
        pictures = open_memmap(path, mode="r+")
        with ProcessPoolExecutor(workers) as pool, progress.open("a") as log:
            jobs = ((split, start, min(count, start + _CHUNK)) for start in chunks)
            for start, chunk in tqdm(pool.map(_render_chunk, jobs), total=len(chunks), desc=split, unit="chunk"):
                pictures[start : start + len(chunk)] = chunk
                log.write(f"{start}\n")
                log.flush()
        pictures.flush()
    return PictureSet(np.load(path, mmap_mode="r"), [scene_at(split, index) for index in range(count)])


def _render_chunk(job: tuple[str, int, int]) -> tuple[int, np.ndarray]:
    split, start, stop = job
    pictures = [draw(scene_at(split, index), picture_seed(split, index), SIZE) for index in range(start, stop)]
    return start, np.stack([np.asarray(picture) for picture in pictures])


def write_image_folder(
    folder: Path, count: int, *, size: int = SIZE, split: str = "train", seed: int = 0
) -> Iterator[Path]:
    """Write a Hugging Face `imagefolder`: PNG files and metadata.jsonl (file_name, text, and the six attributes).

    Yields each picture's path as it is written. size: in pixels, a multiple of 8.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for index in range(seed, seed + count):
            scene = scene_at(split, index)
            path = folder / f"{index:06d}.png"
            draw(scene, picture_seed(split, index), size).save(path)
            text = caption(scene, random.Random(f"{split} caption {index}"))
            metadata.write(json.dumps({"file_name": path.name, "text": text, **scene.as_dict()}) + "\n")
            yield path
