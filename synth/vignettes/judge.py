"""The judge: a small convolutional network that reads a vignette's six attributes off its pixels.

It is trained on rendered scenes alone, never on generated pictures, and marks what the bundled renderer draws.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_model, save_model
from torch import nn

from synth.errors import ModelError
from synth.models.alone import LOADING
from synth.vignettes.attributes import ATTRIBUTES

INPUT_SIZE = 128
WIDTHS = ((16, 2), (32, 2), (64, 2), (64, 1), (96, 2), (96, 1), (128, 1))
WEIGHTS = Path(__file__).parent / "models" / "judge" / "model.safetensors"


class Judge(nn.Module):
    """Pictures (n, 3, 128, 128) in -1..1 to logits: attribute name -> (n, number of its values)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, stride in WIDTHS:
            layers += [nn.Conv2d(channels, width, 3, stride, 1), nn.GroupNorm(8, width), nn.ReLU(inplace=True)]
            channels = width
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Sequential(nn.Linear(2 * channels * 4, 192), nn.GELU())
        self.heads = nn.ModuleDict({name: nn.Linear(192, len(values)) for name, values in ATTRIBUTES.items()})

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.features(pictures)
        pooled = [F.adaptive_avg_pool2d(features, 2).flatten(1), F.adaptive_max_pool2d(features, 2).flatten(1)]
        hidden = self.hidden(torch.cat(pooled, dim=1))
        return {name: head(hidden) for name, head in self.heads.items()}

    def save(self, path: Path, facts: dict[str, object]) -> None:
        """Write the weights as safetensors, with facts about their training in the metadata."""
        path.parent.mkdir(parents=True, exist_ok=True)
        save_model(self, str(path), metadata={"facts": json.dumps(facts)})

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> "Judge":
        """The judge that ships with the package, in evaluation mode."""
        try:
            with LOADING:
                judge = cls()
                load_model(judge, str(path))
        except Exception as error:
            raise ModelError(f"the judge {path} cannot be read: {error}") from None
        return judge.eval()

    @torch.inference_mode()
    def read(self, pictures: Sequence[Image.Image], *, batch_size: int = 64) -> list[dict[str, str]]:
        """What each picture seems to show: attribute -> value."""
        readings: list[dict[str, str]] = []
        for start in range(0, len(pictures), batch_size):
            logits = self(as_input(pictures[start : start + batch_size]))
            best = {name: scores.argmax(dim=1).tolist() for name, scores in logits.items()}
            count = len(next(iter(best.values())))
            readings += [{name: ATTRIBUTES[name][best[name][i]] for name in ATTRIBUTES} for i in range(count)]
        return readings


def as_input(pictures: Sequence[Image.Image]) -> torch.Tensor:
    """Pictures of any size as the judge sees them: (n, 3, 128, 128) in -1..1."""
    resized = [picture.convert("RGB").resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BOX) for picture in pictures]
    array = np.stack([np.asarray(picture, dtype=np.float32) for picture in resized])
    return torch.from_numpy(array).permute(0, 3, 1, 2) / 127.5 - 1
