"""CLIP: a vision and a text tower that agree on what belongs together (Radford et al. 2021).

Beside the contrastive loss, small heads that are thrown away afterwards read the attributes off each tower. They teach
in minutes on a CPU what contrast alone would need far more pictures for: that every named attribute is in the vector.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from synth.train.arrays import step_random, step_rng, to_tensor
from synth.train.judge import labels
from synth.train.loop import Recipe
from synth.vignettes.attributes import ATTRIBUTES
from synth.vignettes.captions import parse, plain_caption
from synth.vignettes.dataset import SIZE, PictureSet

WIDTH = 128


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
    """Match pictures with their captions."""

    name = "clip"

    def __init__(self, clip: CLIPModel, tokenizer: CLIPTokenizer, train: PictureSet, held_out: PictureSet) -> None:
        self.clip, self.tokenizer, self.train, self.held_out = clip, tokenizer, train, held_out
        clip.set_attn_implementation("eager")  # several times faster than the fused kernel in bf16 on CPUs
        sees = {f"sees {name}": nn.Linear(WIDTH, len(values)) for name, values in ATTRIBUTES.items()}
        reads = {f"reads {name}": nn.Linear(WIDTH, len(values) + 1) for name, values in ATTRIBUTES.items()}
        self.heads = nn.ModuleDict(sees | reads)
        self.modules = {"clip": clip, "heads": self.heads}
        self.scales: dict[str, float] = {}
        self.seen = labels(train)

    def loss(self, step: int, recipe: Recipe) -> tuple[torch.Tensor, dict[str, float]]:
        device = self.clip.device
        indices = np.sort(step_rng(recipe.seed, step).integers(0, len(self.train), recipe.batch_size))
        rng = step_random(recipe.seed, step)
        captions = [self.train.caption(int(index), rng) for index in indices]
        vision = self.clip.vision_model(to_tensor(self.train.pictures[indices], str(device))).pooler_output
        text = self.clip.text_model(encode_captions(self.tokenizer, captions).to(device)).pooler_output
        logits = self._similarity(vision, text)
        target = torch.arange(len(indices), device=device)
        contrast = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        attributes = self._attribute_loss(vision, text, indices, captions)
        return contrast + 0.5 * attributes, {"contrast": contrast.item(), "attributes": attributes.item()}

    def _similarity(self, vision: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        pictures = F.normalize(self.clip.visual_projection(vision).float(), dim=1)
        words = F.normalize(self.clip.text_projection(text).float(), dim=1)
        return self.clip.logit_scale.exp().clamp(max=60) * pictures @ words.T

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

    def validate(self) -> dict[str, float]:
        """Share of 400 held-out pictures whose plain caption is the nearest of all 400."""
        scenes = self.held_out.scenes[:400]
        ids = encode_captions(self.tokenizer, [plain_caption(scene) for scene in scenes]).to(self.clip.device)
        pictures = to_tensor(self.held_out.pictures[: len(scenes)], str(self.clip.device))
        vision = torch.cat([self.clip.vision_model(part).pooler_output for part in pictures.split(100)])
        logits = self._similarity(vision, self.clip.text_model(ids).pooler_output)
        target = torch.arange(len(scenes), device=logits.device)
        seen = labels(self.held_out)
        figures = {
            f"sees_{name}": (self.heads[f"sees {name}"](vision).argmax(1).cpu() == seen[name][: len(scenes)])
            .float()
            .mean()
            .item()
            for name in ATTRIBUTES
        }
        return {"retrieval": (logits.argmax(1) == target).float().mean().item(), **figures}

    def sample(self, path: Path) -> dict[str, float]:
        """CLIP has nothing to show."""
        return {}


def read_labels(captions: list[str]) -> dict[str, torch.Tensor]:
    """What each caption names, as class indices (n,); the last class of an attribute says that it is not named."""
    readings = [parse(text).values for text in captions]
    return {
        name: torch.tensor([values.index(found[name][0]) if name in found else len(values) for found in readings])
        for name, values in ATTRIBUTES.items()
    }
