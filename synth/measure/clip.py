"""CLIP (Radford et al. 2021): pictures and texts as vectors of one space, and how well they fit each other."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from PIL import Image
from transformers import CLIPModel, CLIPTokenizer

from synth.errors import InputError, ModelError
from synth.jobs import ModelRef
from synth.models.alone import LOADING
from synth.models.devices import choose_device
from synth.models.quiet import quiet
from synth.models.weights import read_json
from synth.presets import locate, resolve

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
BATCH = 64

Pictures = Sequence[Image.Image] | np.ndarray
"""PIL pictures of any size, or uint8 (n, height, width, 3)."""


class Clip:
    """A CLIP model that measures, on one device in float32. Vectors have `D` numbers, the model's projection_dim.

    identity: what pins the model, "<name> <digest or commit>", to be stated beside every figure.
    """

    def __init__(
        self, model: CLIPModel, tokenizer: CLIPTokenizer, mean: np.ndarray, std: np.ndarray, identity: str
    ) -> None:
        self.model, self.tokenizer, self.mean, self.std, self.identity = model, tokenizer, mean, std, identity

    @classmethod
    def load(cls, name: str = "vignettes-clip", device: str = "auto") -> Self:
        """The CLIP called `name`: a preset, hub id or folder. ModelError if it is missing, not whole, or no CLIP."""
        device = choose_device(device)
        reference = check_clip(name)
        folder = locate(reference, "clip")
        try:
            with LOADING, quiet():
                model = CLIPModel.from_pretrained(
                    folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
                )
                tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"{name} cannot be loaded ({error}); download or copy it again.") from error
        identity = f"{reference.name} {reference.digest or reference.revision}"
        return cls(model.to(device).eval().requires_grad_(False), tokenizer, *_normal(folder), identity)

    def embed_pictures(self, pictures: Pictures) -> np.ndarray:
        """Vectors of length 1, float32 (n, D). The shorter side is fitted to the model's, the middle is cut out."""
        side = self.model.config.vision_config.image_size
        return self._normalised(
            [self._seen(np.stack([_square(picture, side) for picture in batch])) for batch in _batches(pictures)]
        )

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of length 1, float32 (n, D). What is longer than the model reads (77 tokens) is cut off."""
        return self._normalised([self._read(list(batch)) for batch in _batches(texts)])

    def score(self, pictures: Pictures, texts: Sequence[str]) -> np.ndarray:
        """How well each picture fits its text, (n,): see `clip_score`."""
        if len(pictures) != len(texts):
            raise InputError("texts", len(texts), f"give one for each of the {len(pictures)} pictures")
        return clip_score(self.embed_pictures(pictures), self.embed_texts(texts))

    def features(self, pictures: Pictures) -> np.ndarray:
        """What KID compares, float32 (n, D): see `for_kid`."""
        return for_kid(self.embed_pictures(pictures))

    @torch.inference_mode()
    def _seen(self, pictures: np.ndarray) -> torch.Tensor:
        pixels = (pictures.astype(np.float32) / 255 - self.mean) / self.std
        tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.model.device)
        return self.model.visual_projection(self.model.vision_model(pixel_values=tensor).pooler_output)

    @torch.inference_mode()
    def _read(self, texts: list[str]) -> torch.Tensor:
        longest = self.model.config.text_config.max_position_embeddings
        batch = self.tokenizer(texts, padding="max_length", truncation=True, max_length=longest, return_tensors="pt")
        ids = batch.input_ids.to(self.model.device)
        return self.model.text_projection(self.model.text_model(input_ids=ids).pooler_output)

    def _normalised(self, parts: list[torch.Tensor]) -> np.ndarray:
        if not parts:
            return np.empty((0, self.model.config.projection_dim), np.float32)
        return torch.nn.functional.normalize(torch.cat(parts), dim=1).cpu().numpy()


def check_clip(name: str) -> ModelRef:
    """What pins the CLIP called `name`, a preset, hub id or folder: it is there, fetched if need be, but not loaded.

    InputError for a name that means nothing, ModelError for a model that is missing, not whole, or no CLIP.
    """
    reference = resolve(name, "clip")
    if read_json(locate(reference, "clip") / "config.json").get("model_type") != "clip":
        raise ModelError(f"{name} is no CLIP; give a model whose config.json says model_type clip.")
    return reference


def clip_score(pictures: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """How well pictures fit their texts, by vectors of length 1, (n, D): 100 max(cosine, 0), (n,).

    Hessel et al. 2021 weigh the cosine by 2.5; 100, as in torchmetrics, has become usual.
    """
    return 100 * np.maximum((pictures * texts).sum(1), 0)


def for_kid(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1, (n, D), stretched to sqrt(D), so that KID's kernel sees their cosine."""
    return vectors * np.sqrt(np.float32(vectors.shape[1]))


def _batches(items: Sequence) -> Iterator[Sequence]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


def _normal(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the colours that the model expects: its own, or else those of OpenAI's CLIPs."""
    file = folder / "preprocessor_config.json"
    config = read_json(file) if file.is_file() else {}
    try:
        mean, std = config.get("image_mean", OPENAI_MEAN), config.get("image_std", OPENAI_STD)
        return np.array(mean, np.float32).reshape(3), np.array(std, np.float32).reshape(3)
    except (ValueError, TypeError):
        raise ModelError(f"{file} gives no three numbers as image_mean and image_std; download it again.") from None


def _square(picture: Image.Image | np.ndarray, side: int) -> np.ndarray:
    """A picture as uint8 (side, side, 3): the shorter side is resized to `side`, and the middle cut out."""
    image = (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).convert("RGB")
    if image.size != (side, side):
        width, height = (length * side // min(image.size) for length in image.size)
        left, top = (width - side) // 2, (height - side) // 2
        image = image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))
    return np.asarray(image)
