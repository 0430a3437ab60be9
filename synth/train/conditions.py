"""What the UNet attends to while it is trained: captions, encoded at each step or once and for all.

`LiveText` runs the text encoder at each step, which may then learn too. `CachedText` encodes every caption once, keeps
the states on the disk and maps them from there: a frozen encoder, SDXL's two included, costs nothing afterwards.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from synth.diffusion.embedding import Embedder
from synth.models.families import StableDiffusion, StableDiffusionXLPipeline
from synth.records.files import claimed
from synth.train.clip import encode_captions
from synth.train.processes import Batch
from synth.train.rows import writing_rows

NO_CAPTION = ""


class Conditions(Protocol):
    """Captions in, keyword arguments of the UNet out."""

    def draw(self, captions: list[str]) -> Batch:
        """What `encode` needs of these captions, an entry each, on the CPU."""

    def encode(self, batch: Batch, device: torch.device) -> dict[str, Any]:
        """The UNet's arguments for a batch that `draw` made."""


class LiveText:
    """Captions through a text encoder at each step: states (n, 77, D)."""

    def __init__(self, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> None:
        self.text_encoder, self.tokenizer = text_encoder, tokenizer

    def draw(self, captions: list[str]) -> Batch:
        return {"ids": encode_captions(self.tokenizer, captions)}

    def encode(self, batch: Batch, device: torch.device) -> dict[str, Any]:
        return {"encoder_hidden_states": self.text_encoder(batch["ids"].to(device)).last_hidden_state}


class CachedText:
    """Captions that were encoded before: states (n, 77, D) in half precision, mapped from a file.

    size: of the pictures in pixels, which SDXL's UNet is told.
    """

    def __init__(self, pipeline: StableDiffusion, captions: Iterable[str], folder: Path, *, size: int) -> None:
        self.places = {text: place for place, text in enumerate(dict.fromkeys([NO_CAPTION, *captions]))}
        self.pooled: np.ndarray | None = None
        self.size = size
        self.states = self._load(pipeline, folder)

    def draw(self, captions: list[str]) -> Batch:
        places = [self.places[text] for text in captions]
        batch = {"states": torch.from_numpy(self.states[places])}
        return batch if self.pooled is None else batch | {"pooled": torch.from_numpy(self.pooled[places])}

    def encode(self, batch: Batch, device: torch.device) -> dict[str, Any]:
        arguments: dict[str, Any] = {"encoder_hidden_states": batch["states"].to(device).float()}
        if "pooled" in batch:
            pooled = batch["pooled"].to(device).float()
            sizes = torch.tensor([[self.size, self.size, 0, 0, self.size, self.size]] * len(pooled))
            arguments["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": sizes.to(pooled)}
        return arguments

    def _load(self, pipeline: StableDiffusion, folder: Path) -> np.ndarray:
        """Map the states from `folder`, after one of the processes that need them has computed them."""
        done = folder / "done"
        if not done.exists():
            with claimed(folder, wait=True):
                if not done.exists():
                    self._encode(pipeline, folder)
                    done.touch()
        if _is_xl(pipeline):
            self.pooled = np.load(folder / "pooled.npy", mmap_mode="r")
        return np.load(folder / "states.npy", mmap_mode="r")

    @torch.inference_mode()
    def _encode(self, pipeline: StableDiffusion, folder: Path, batch_size: int = 64) -> None:
        texts, embedder = list(self.places), Embedder(pipeline)
        fields = {"states": "tokens"} | ({"pooled": "pooled"} if _is_xl(pipeline) else {})
        with ExitStack() as stack:
            files = {field: stack.enter_context(writing_rows(folder / f"{name}.npy")) for name, field in fields.items()}
            for start in tqdm(range(0, len(texts), batch_size), desc="captions", unit="batch", mininterval=5):
                # Without a caption a model sees what guidance will show it: in SDXL that is nothing at all.
                found = embedder.negatives(texts[start : start + batch_size])
                for field, file in files.items():
                    file.append(torch.stack([getattr(item, field) for item in found]).half().cpu().numpy())


def _is_xl(pipeline: StableDiffusion) -> bool:
    return isinstance(pipeline, StableDiffusionXLPipeline)
