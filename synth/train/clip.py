"""CLIP: a vision and a text tower that agree on what belongs together (Radford et al. 2021).

Beside the contrastive loss, small heads that are thrown away afterwards read the attributes off each tower. They teach
in minutes on a CPU what contrast alone would need far more pictures for: that every named attribute is in the vector.
"""

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from synth.train.arrays import step_random, step_rng, to_tensor
from synth.train.judge import labels
from synth.train.loop import Figures
from synth.train.processes import Batch, everyones
from synth.train.recipe import Recipe
from synth.vignettes.attributes import ATTRIBUTES
from synth.vignettes.captions import parse, plain_caption
from synth.vignettes.dataset import SIZE, PictureSet

WIDTH = 128
VALIDATION_PICTURES = 400


def make_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    """An untrained CLIP for 128 px pictures: a ViT of 4 layers on 16 px patches, a text tower of 3, both 128 wide."""
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": tokenizer.model_max_length,
        "hidden_act": "gelu",
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "projection_dim": WIDTH,
    }
    vision = {
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": SIZE,
        "patch_size": 16,
        "hidden_act": "gelu",
        "projection_dim": WIDTH,
    }
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))


def encode_captions(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Token ids, padded and cut to the tokenizer's length: (n, 77)."""
    batch = tokenizer(
        captions, padding="max_length", truncation=True, max_length=tokenizer.model_max_length, return_tensors="pt"
    )
    return batch.input_ids


class ClipTask:
    """Match pictures (uint8, (n, side, side, 3)) with their captions; `caption(index, rng)` gives one of a picture's.

    Pictures of another side than the model's are resized to it.

    train, held_out: indices of the pictures to learn from, and to measure on. mean, std: of the colours from 0 to 1.
    """

    name, metric, higher = "clip", "retrieval", True

    def __init__(
        self,
        clip: CLIPModel,
        tokenizer: CLIPTokenizer,
        pictures: np.ndarray,
        caption: Callable[[int, random.Random], str],
        train: np.ndarray,
        held_out: np.ndarray,
        *,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
    ) -> None:
        self.mean, self.std = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))
        self.clip, self.tokenizer, self.pictures, self.caption = clip, tokenizer, pictures, caption
        self.train, self.held_out = train, held_out[:VALIDATION_PICTURES]
        clip.set_attn_implementation("eager")  # several times faster than the fused kernel in bf16 on CPUs
        self.modules: dict[str, nn.Module] = {"clip": clip}
        self.scales: dict[str, float] = {}

    def draw(self, step: int, recipe: Recipe) -> Batch:
        indices = self.train[np.sort(step_rng(recipe.seed, step).integers(0, len(self.train), recipe.batch_size))]
        rng = step_random(recipe.seed, step)
        captions = [self.caption(int(index), rng) for index in indices]
        ids = encode_captions(self.tokenizer, captions)
        return {"index": indices, "picture": self.pictures[indices], "caption": captions, "ids": ids}

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Figures]:
        """Each picture is to be nearest to its caption among all captions of the step, and the reverse."""
        vision, text = self._see(batch["picture"]), self._read(batch["ids"])
        contrast = self._contrast(vision, text)
        return contrast, {"contrast": contrast.item()}

    def _see(self, pictures: np.ndarray) -> torch.Tensor:
        device, side = self.clip.device, self.clip.config.vision_config.image_size
        seen = to_tensor(pictures, str(device))
        if seen.shape[-1] != side:
            seen = F.interpolate(seen, size=(side, side), mode="bicubic", antialias=True).clamp(-1, 1)
        return self.clip.vision_model((seen / 2 + 0.5 - self.mean.to(device)) / self.std.to(device)).pooler_output

    def _read(self, ids: torch.Tensor) -> torch.Tensor:
        return self.clip.text_model(ids.to(self.clip.device)).pooler_output

    def _contrast(self, vision: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        logits = self._similarity(everyones(vision), everyones(text))
        target = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2

    def _similarity(self, vision: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        pictures = F.normalize(self.clip.visual_projection(vision).float(), dim=1)
        words = F.normalize(self.clip.text_projection(text).float(), dim=1)
        return self.clip.logit_scale.exp().clamp(max=self.most) * pictures @ words.T

    most = 100.0
    """The largest factor of the similarities."""

    def validate(self) -> Figures:
        """Share of held-out pictures whose caption is the nearest of all of theirs."""
        captions = [self.caption(int(index), step_random(0, int(index))) for index in self.held_out]
        vision = torch.cat([self._see(self.pictures[part]) for part in np.array_split(self.held_out, self._parts())])
        return {"retrieval": self._retrieval(vision, captions)}

    def _parts(self) -> int:
        return -(-len(self.held_out) // 100)

    def _retrieval(self, vision: torch.Tensor, captions: list[str]) -> float:
        logits = self._similarity(vision, self._read(encode_captions(self.tokenizer, captions)))
        target = torch.arange(len(captions), device=logits.device)
        return (logits.argmax(1) == target).float().mean().item()

    def sample(self) -> tuple[None, Figures]:
        """CLIP has nothing to show."""
        return None, {}


class VignettesClipTask(ClipTask):
    """The same for vignettes, with heads that read the six attributes off each tower."""

    most = 60.0

    def __init__(self, clip: CLIPModel, tokenizer: CLIPTokenizer, train: PictureSet, shown: PictureSet) -> None:
        held_out = np.arange(min(VALIDATION_PICTURES, len(shown)))
        super().__init__(clip, tokenizer, train.pictures, train.caption, np.arange(len(train)), held_out)
        self.shown, self.seen, self.shown_labels = shown, labels(train), labels(shown)
        sees = {f"sees {name}": nn.Linear(WIDTH, len(values)) for name, values in ATTRIBUTES.items()}
        reads = {f"reads {name}": nn.Linear(WIDTH, len(values) + 1) for name, values in ATTRIBUTES.items()}
        self.heads = nn.ModuleDict(sees | reads)
        self.modules["heads"] = self.heads

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Figures]:
        vision, text = self._see(batch["picture"]), self._read(batch["ids"])
        contrast = self._contrast(vision, text)
        attributes = self._attribute_loss(vision, text, batch["index"], batch["caption"])
        return contrast + 0.5 * attributes, {"contrast": contrast.item(), "attributes": attributes.item()}

    def _attribute_loss(
        self, vision: torch.Tensor, text: torch.Tensor, indices: np.ndarray, captions: list[str]
    ) -> torch.Tensor:
        named = read_labels(captions)
        losses = []
        for name in ATTRIBUTES:
            sees, reads = self.heads[f"sees {name}"](vision), self.heads[f"reads {name}"](text)
            losses.append(F.cross_entropy(sees.float(), self.seen[name][indices].to(sees.device)))
            losses.append(F.cross_entropy(reads.float(), named[name].to(reads.device)))
        return torch.stack(losses).sum()

    def validate(self) -> Figures:
        """Retrieval among plain captions of scenes that were never shown, and the heads' right answers on them."""
        count, scenes = len(self.held_out), self.shown.scenes[: len(self.held_out)]
        parts = np.array_split(self.held_out, self._parts())
        vision = torch.cat([self._see(self.shown.pictures[part]) for part in parts])
        figures = {
            f"sees_{name}": (self.heads[f"sees {name}"](vision).argmax(1).cpu() == self.shown_labels[name][:count])
            .float()
            .mean()
            .item()
            for name in ATTRIBUTES
        }
        return {"retrieval": self._retrieval(vision, [plain_caption(scene) for scene in scenes]), **figures}


def read_labels(captions: list[str]) -> dict[str, torch.Tensor]:
    """What each caption names, as class indices (n,); the last class of an attribute says that it is not named."""
    readings = [parse(text).values for text in captions]
    return {
        name: torch.tensor([values.index(found[name][0]) if name in found else len(values) for found in readings])
        for name, values in ATTRIBUTES.items()
    }
