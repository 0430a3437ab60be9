"""Trains the bundled models from nothing: `synth train vignettes`.

The stages, in order; each reads what those before it left under the work folder, and each resumes where it was:

    vae          the autoencoder, on crops of rendered vignettes
    judge        the attribute classifier that marks pictures, on rendered vignettes alone
    tokenizers   CLIP's and GPT-2's, from captions
    clip         text and vision towers
    unet         the denoiser on cached latents, with its own copy of the text tower
    gpt2         the prompt expander
    upscaler     pictures at twice their size, from scenes drawn at both and from what the autoencoder makes of them
    export       all of it as the folders that ship with the package

With `warm=True` a stage that has no checkpoint yet starts from the shipped weights instead of from noise.
"""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel
from torch import nn
from transformers import (
    CLIPModel,
    CLIPTextModel,
    CLIPTokenizer,
    GPT2LMHeadModel,
    GPT2Tokenizer,
    Swin2SRForImageSuperResolution,
)

from synth.errors import InputError, ModelError
from synth.train.checkpoints import checkpoints, load_checkpoint
from synth.train.clip import VignettesClipTask, make_clip
from synth.train.conditions import LiveText
from synth.train.gpt2 import Gpt2Task, make_gpt2
from synth.train.judge import JudgeTask
from synth.train.latents import cached_latents, weights_digest
from synth.train.loop import Trainer
from synth.train.recipe import Recipe
from synth.train.tokenizers import train_clip_tokenizer, train_gpt2_tokenizer
from synth.train.unet import VALIDATION_SAMPLES, UnetTask, assemble, make_unet, plain_attention
from synth.train.upscaler import Pair, UpscalerTask, decoded, drawn, make_upscaler
from synth.train.vae import VaeTask, make_vae
from synth.train.vignettes_samples import show
from synth.vignettes import recipe as recipes
from synth.vignettes.captions import caption, prompt
from synth.vignettes.dataset import PictureSet, random_prompt, render_set, scene_at
from synth.vignettes.export import check_sizes, export_clip, export_gpt2, export_pipeline, export_upscaler
from synth.vignettes.judge import Judge
from synth.vignettes.recipe import SHAPES, Shapes

MODELS = Path(__file__).parent.parent / "vignettes" / "models"


@dataclass(frozen=True)
class Workshop:
    """Where a training of the bundled models happens, and how large it is.

    work: folder of data, checkpoints and logs. device: "cpu", "cuda", ... warm: start from the weights in `shipped`.
    """

    work: Path
    device: str = "cpu"
    warm: bool = False
    compile: bool = False
    shipped: Path = MODELS
    shapes: Shapes = SHAPES
    training_pictures: int = recipes.TRAINING_PICTURES
    held_out_pictures: int = recipes.HELD_OUT_PICTURES

    def pictures(self) -> tuple[PictureSet, PictureSet]:
        """Training and held-out pictures, rendered when they are not there yet."""
        workers = os.cpu_count() or 1
        train = render_set(self.work / "data", "train", self.training_pictures, workers=workers)
        return train, render_set(self.work / "data", "held-out", self.held_out_pictures, workers=workers)

    def clip_tokenizer(self) -> CLIPTokenizer:
        ours, shipped = self.work / "tokenizers" / "clip", self.shipped / "pipeline" / "tokenizer"
        return self._tokenizer(CLIPTokenizer, ours, shipped, lambda: train_clip_tokenizer(_captions(), ours))

    def gpt2_tokenizer(self) -> GPT2Tokenizer:
        ours, shipped = self.work / "tokenizers" / "gpt2", self.shipped / "gpt2"
        return self._tokenizer(GPT2Tokenizer, ours, shipped, lambda: train_gpt2_tokenizer(_prompts(), ours))

    def _tokenizer(self, kind: type, ours: Path, shipped: Path, learn: Callable[[], object]) -> Any:
        if not (ours / "tokenizer_config.json").exists():
            if self.warm:
                return kind.from_pretrained(shipped, local_files_only=True)
            ours.mkdir(parents=True, exist_ok=True)
            learn()
        return kind.from_pretrained(ours, local_files_only=True)

    def trained(self, *stages: str) -> bool:
        """Whether any of these stages has a checkpoint here."""
        return any(checkpoints(self.work / stage / "checkpoints") for stage in stages)

    def finish(self, stage: str, modules: dict[str, nn.Module]) -> None:
        """Put the averaged weights of a stage's last checkpoint into modules of the same shape, ready for use.

        In a warm workshop a stage that was not trained here leaves the shipped weights as they are.
        """
        if self.trained(stage):
            tensors, _ = load_checkpoint(checkpoints(self.work / stage / "checkpoints")[-1])
            for name, module in modules.items():
                averages = {key: tensors[f"average/{name}/{key}"] for key, _ in module.named_parameters()}
                module.load_state_dict(averages, strict=False)
        elif not self.warm:
            raise ModelError(f"the stage {stage!r} has not been trained in {self.work}; run it first")
        for module in modules.values():
            module.to(self.device).eval()

    def new_vae(self) -> AutoencoderTiny:
        if self.warm:
            return AutoencoderTiny.from_pretrained(self.shipped / "pipeline" / "vae", local_files_only=True)
        return make_vae(self.shapes.vae_features, self.shapes.latent_channels)

    def vae(self) -> AutoencoderTiny:
        """The finished autoencoder."""
        vae = self.new_vae()
        self.finish("vae", {"vae": vae})
        return vae.to(memory_format=torch.channels_last)

    def new_clip(self) -> CLIPModel:
        if self.warm:
            return CLIPModel.from_pretrained(self.shipped / "clip", dtype=torch.float32, local_files_only=True)
        return make_clip(self.clip_tokenizer())

    def clip(self) -> CLIPModel:
        """The finished CLIP."""
        clip = self.new_clip()
        self.finish("clip", {"clip": clip})
        return clip

    def new_denoiser(self) -> tuple[UNet2DConditionModel, CLIPTextModel]:
        """A UNet that knows nothing and a text encoder that knows what CLIP's text tower knows; or those that ship."""
        if self.warm:
            shipped = StableDiffusionPipeline.from_pretrained(self.shipped / "pipeline", local_files_only=True)
            return shipped.unet, shipped.text_encoder
        tower = self.clip().text_model
        text_encoder = CLIPTextModel(tower.config)
        text_encoder.load_state_dict(tower.state_dict())
        shapes = self.shapes
        unet = make_unet(shapes.latent_channels, tower.config.hidden_size, shapes.latent_size, shapes.unet_widths)
        return unet, text_encoder

    def new_gpt2(self) -> GPT2LMHeadModel:
        if self.warm:
            return GPT2LMHeadModel.from_pretrained(self.shipped / "gpt2", dtype=torch.float32, local_files_only=True)
        return make_gpt2(self.gpt2_tokenizer(), width=self.shapes.gpt2_width)

    def new_upscaler(self) -> Swin2SRForImageSuperResolution:
        if self.warm and (self.shipped / "upscaler").is_dir():
            return Swin2SRForImageSuperResolution.from_pretrained(self.shipped / "upscaler", local_files_only=True)
        return make_upscaler(self.shapes.upscaler_width, self.shapes.upscaler_depths, self.shapes.upscaler_heads)


def train_vae(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    train, held_out = shop.pictures()
    return _run(VaeTask(shop.new_vae(), train.pictures, np.arange(len(train)), held_out.pictures), shop, recipe)


def train_judge(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    judge = Judge()
    figures = _run(JudgeTask(judge, *shop.pictures()), shop, recipe)
    shop.finish("judge", {"judge": judge})
    judge.cpu().save(shop.work / "judge" / "model.safetensors", figures)
    return figures


def train_tokenizers(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    return {"clip_tokens": len(shop.clip_tokenizer()), "gpt2_tokens": len(shop.gpt2_tokenizer())}


def train_clip(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    return _run(VignettesClipTask(shop.new_clip(), shop.clip_tokenizer(), *shop.pictures()), shop, recipe)


def train_unet(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    train, _ = shop.pictures()
    vae, tokenizer = shop.vae(), shop.clip_tokenizer()
    latents = _latents(shop, vae, train)
    unet, text_encoder = shop.new_denoiser()
    plain_attention(unet, text_encoder)
    pipeline = assemble(vae, text_encoder, tokenizer, unet)
    last = len(latents) - VALIDATION_SAMPLES
    task = UnetTask(
        {"unet": unet, "text_encoder": text_encoder},
        LiveText(text_encoder, tokenizer),
        latents * vae.config.scaling_factor,
        train.caption,
        np.arange(last),
        np.arange(last, len(latents)),
        pipeline.scheduler,
        show=lambda: show(pipeline, _judge(shop)),
        compile=shop.compile,
    )
    return _run(task, shop, recipe)


def train_gpt2(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    return _run(Gpt2Task(shop.new_gpt2(), shop.gpt2_tokenizer(), random_prompt), shop, recipe)


def train_upscaler(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    vae = shop.vae()
    train = _enlargements(shop, vae, "train", recipes.UPSCALER_SHARE * shop.training_pictures)
    held_out = _enlargements(shop, vae, "held-out", recipes.UPSCALER_HELD_OUT_SHARE * shop.held_out_pictures)
    return _run(UpscalerTask(shop.new_upscaler(), list(train.values()), held_out), shop, recipe)


def export(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    """Write what was trained here into `shop.shipped`, with the training logs beside it; sizes in bytes.

    From a cold workshop everything is written, from a warm one only what it trained further.
    """
    if shop.trained("clip") or not shop.warm:
        export_clip(shop.clip(), shop.clip_tokenizer(), shop.shipped / "clip")
    if shop.trained("vae", "unet") or not shop.warm:
        export_pipeline(_pipeline(shop), shop.shipped / "pipeline")
    if shop.trained("gpt2") or not shop.warm:
        gpt2 = shop.new_gpt2()
        shop.finish("gpt2", {"gpt2": gpt2})
        export_gpt2(gpt2, shop.gpt2_tokenizer(), shop.shipped / "gpt2")
    if shop.trained("upscaler") or not shop.warm:
        upscaler = shop.new_upscaler()
        shop.finish("upscaler", {"upscaler": upscaler})
        export_upscaler(upscaler, shop.shipped / "upscaler")
    copies = {_judge(shop): shop.shipped / "judge" / "model.safetensors"}
    copies |= {
        shop.work / s / "log.jsonl": shop.shipped / "logs" / f"{s}.jsonl" for s in recipes.RECIPES if shop.trained(s)
    }
    for source, target in copies.items():
        if source != target:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return {name: float(size) for name, size in check_sizes(shop.shipped).items()}


STAGES: dict[str, Callable[[Workshop, Recipe], dict[str, float]]] = {
    "vae": train_vae,
    "judge": train_judge,
    "tokenizers": train_tokenizers,
    "clip": train_clip,
    "unet": train_unet,
    "gpt2": train_gpt2,
    "upscaler": train_upscaler,
    "export": export,
}


def train_vignettes(stage: str, shop: Workshop, *, steps: int | None = None) -> dict[str, float]:
    """Run one stage to its end, resuming it where it was; the figures of its last validation."""
    if stage not in STAGES:
        raise InputError("stage", stage, f"use one of: {', '.join(STAGES)}")
    recipe = recipes.RECIPES.get(stage, Recipe(steps=1, batch_size=1, learning_rate=0.0))
    torch.manual_seed(recipe.seed)  # the random start of a network comes from the global generator
    return STAGES[stage](shop, replace(recipe, steps=steps) if steps else recipe)


def _run(task, shop: Workshop, recipe: Recipe) -> dict[str, float]:
    return Trainer(task, recipe, shop.work / task.name, device=shop.device).run()


def _latents(shop: Workshop, vae: AutoencoderTiny, train: PictureSet) -> torch.Tensor:
    """Latents of the training pictures, computed once; tells the VAE the scale that gives them unit deviation."""
    file = shop.work / "unet" / f"latents-{len(train)}-{weights_digest(vae)}.npy"
    latents = torch.from_numpy(np.array(cached_latents(vae, train.pictures, file, batch_size=64)))
    vae.register_to_config(scaling_factor=round(1 / latents.float().std().item(), 5))
    return latents


def _enlargements(shop: Workshop, vae: AutoencoderTiny, split: str, number: float) -> dict[str, Pair]:
    """Pictures and the same ones at twice the size, by what the smaller ones are."""
    count = max(1, round(number))
    shown = partial(drawn, shop.work / "data", split, workers=os.cpu_count() or 1)
    small, large, largest = shown(count, 128), shown(count, 256), shown(max(1, count // 4), 512)
    blurred = decoded(vae, small, shop.work / "upscaler" / f"{split}-{count}-{weights_digest(vae)}.npy")
    return {"drawn": (small, large), "decoded": (blurred, large), "large": (large[: len(largest)], largest)}


def _pipeline(shop: Workshop) -> StableDiffusionPipeline:
    """The finished parts as one pipeline."""
    vae = shop.vae()
    _latents(shop, vae, shop.pictures()[0])
    unet, text_encoder = shop.new_denoiser()
    shop.finish("unet", {"unet": unet, "text_encoder": text_encoder})
    return assemble(vae, text_encoder, shop.clip_tokenizer(), unet)


def _judge(shop: Workshop) -> Path:
    """The judge that was trained here, or else the one that ships."""
    ours = shop.work / "judge" / "model.safetensors"
    return ours if ours.exists() else shop.shipped / "judge" / "model.safetensors"


def _captions() -> list[str]:
    return [caption(scene_at("train", i), random.Random(i)) for i in range(recipes.CAPTIONS_FOR_TOKENIZERS)]


def _prompts() -> list[str]:
    return [prompt(scene_at("train", i), random.Random(i)) for i in range(recipes.CAPTIONS_FOR_TOKENIZERS)]
