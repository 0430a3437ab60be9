"""Trains the judge that marks generated vignettes (synth/vignettes/judge.py)."""

import numpy as np
import torch
import torch.nn.functional as F

from synth.train.arrays import step_rng, to_tensor
from synth.train.loop import Figures
from synth.train.processes import Batch
from synth.train.recipe import Recipe
from synth.vignettes.attributes import ATTRIBUTES
from synth.vignettes.dataset import PictureSet
from synth.vignettes.judge import Judge


class JudgeTask:
    """Classify each of the six attributes of rendered scenes."""

    name, metric, higher = "judge", "least", True

    def __init__(self, judge: Judge, train: PictureSet, held_out: PictureSet) -> None:
        self.judge, self.train, self.held_out = judge, train, held_out
        self.modules = {"judge": judge}
        self.scales: dict[str, float] = {}
        self.labels, self.held_out_labels = labels(train), labels(held_out)

    def draw(self, step: int, recipe: Recipe) -> Batch:
        """Pictures with small shifts and a slight blur at random, so that it reads shapes and not pixels."""
        rng = step_rng(recipe.seed, step)
        indices = np.sort(rng.integers(0, len(self.train), recipe.batch_size))
        pictures = to_tensor(self.train.pictures[indices])
        pictures = torch.roll(pictures, tuple(rng.integers(-3, 4, 2).tolist()), dims=(2, 3))
        if rng.random() < 0.3:
            pictures = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        return {"picture": pictures} | {name: self.labels[name][indices] for name in ATTRIBUTES}

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Figures]:
        """Cross-entropy of each attribute."""
        device = self._device()
        logits = self.judge(batch["picture"].to(device))
        losses = [
            F.cross_entropy(logits[name].float(), batch[name].to(device), label_smoothing=0.02) for name in ATTRIBUTES
        ]
        return torch.stack(losses).sum(), {}

    def _device(self) -> str:
        return str(next(self.judge.parameters()).device)

    def _pictures(self, pictures: PictureSet, indices: slice) -> torch.Tensor:
        return to_tensor(pictures.pictures[indices], self._device())

    def validate(self) -> Figures:
        """Share of held-out scenes that are read right, of each attribute and at the least."""
        parts = [slice(i, min(i + 100, len(self.held_out))) for i in range(0, len(self.held_out), 100)]
        logits = [self.judge(self._pictures(self.held_out, part)) for part in parts]
        figures = {
            name: (torch.cat([part[name] for part in logits]).argmax(1).cpu() == self.held_out_labels[name])
            .float()
            .mean()
            .item()
            for name in ATTRIBUTES
        }
        return {"least": min(figures.values()), **figures}

    def sample(self) -> tuple[None, Figures]:
        """A classifier has nothing to show."""
        return None, {}


def labels(pictures: PictureSet) -> dict[str, torch.Tensor]:
    """Class indices of each attribute: (n,)."""
    return {
        name: torch.tensor([values.index(getattr(scene, name)) for scene in pictures.scenes])
        for name, values in ATTRIBUTES.items()
    }
