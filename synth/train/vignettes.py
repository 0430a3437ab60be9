"""Trains the bundled models from nothing: `synth train vignettes`.

The stages, in order; each reads what those before it left under the work folder, and each resumes where it was:

    vae          the autoencoder, on crops of rendered vignettes
    judge        the attribute classifier that marks pictures, on rendered vignettes alone
    tokenizers   CLIP's and GPT-2's, from captions
    clip         text and vision towers
    unet         the denoiser on cached latents, with its own copy of the text tower
    gpt2         the prompt expander
    export       all of it as the folders that ship with the package

With `warm=True` a stage that has no checkpoint yet starts from the shipped weights instead of from noise.
"""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel
from torch import nn
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer, GPT2LMHeadModel, GPT2Tokenizer

from synth.errors import InputError, ModelError
from synth.train.checkpoints import checkpoints, load_checkpoint
from synth.train.clip import ClipTask, make_clip
from synth.train.gpt2 import Gpt2Task, make_gpt2
from synth.train.judge import JudgeTask
from synth.train.loop import Recipe, Trainer
from synth.train.tokenizers import train_clip_tokenizer, train_gpt2_tokenizer
from synth.train.unet import UnetTask, assemble, make_unet
from synth.train.vae import VaeTask, encode_all, make_vae
from synth.train.vignettes_samples import show
from synth.vignettes import recipe as recipes
from synth.vignettes.attributes import training_scene
from synth.vignettes.captions import caption, prompt
from synth.vignettes.dataset import PictureSet, render_set, scene_at
from synth.vignettes.export import check_sizes, export_clip, export_gpt2, export_pipeline
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
        return _learned(
            self.work / "tokenizers" / "clip", CLIPTokenizer, lambda to: train_clip_tokenizer(_captions(), to)
        )

    def gpt2_tokenizer(self) -> GPT2Tokenizer:
        return _learned(
            self.work / "tokenizers" / "gpt2", GPT2Tokenizer, lambda to: train_gpt2_tokenizer(_prompts(), to)
        )

    def finished(self, stage: str, task_modules: dict[str, nn.Module]) -> None:
        """Put the averaged weights of a stage's last checkpoint into modules of the same shape."""
        found = checkpoints(self.work / stage / "checkpoints")
        if not found:
            raise ModelError(f"the stage {stage!r} has not been trained in {self.work}; run it first")
        tensors, _ = load_checkpoint(found[-1])
        for name, module in task_modules.items():
            averages = {key: tensors[f"average/{name}/{key}"] for key, _ in module.named_parameters()}
            module.load_state_dict(averages, strict=False)
            module.to(self.device).eval()

    def vae(self) -> AutoencoderTiny:
        vae = make_vae(self.shapes.vae_features, self.shapes.latent_channels)
        self.finished("vae", {"vae": vae})
        return vae.to(memory_format=torch.channels_last)

    def clip(self) -> CLIPModel:
        clip = make_clip(self.clip_tokenizer())
        self.finished("clip", {"clip": clip})
        return clip

    def new_denoiser(self) -> tuple[UNet2DConditionModel, CLIPTextModel]:
        """A UNet that knows nothing, and a text encoder that knows what CLIP's text tower knows."""
        tower = self.clip().text_model
        text_encoder = CLIPTextModel(tower.config)
        text_encoder.load_state_dict(tower.state_dict())
        shapes = self.shapes
        unet = make_unet(shapes.latent_channels, tower.config.hidden_size, shapes.latent_size, shapes.unet_widths)
        return unet, text_encoder

    def shipped_denoiser(self) -> tuple[UNet2DConditionModel, CLIPTextModel]:
        shipped = StableDiffusionPipeline.from_pretrained(self.shipped / "pipeline", local_files_only=True)
        return shipped.unet, shipped.text_encoder

    def pipeline(self) -> StableDiffusionPipeline:
        """The finished parts as one pipeline."""
        vae = self.vae()
        _latents(self, vae, self.pictures()[0])
        unet, text_encoder = self.new_denoiser()
        self.finished("unet", {"unet": unet, "text_encoder": text_encoder})
        return assemble(vae, text_encoder, self.clip_tokenizer(), unet)


def train_vae(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    train, held_out = shop.pictures()
    vae = make_vae(shop.shapes.vae_features, shop.shapes.latent_channels)
    if shop.warm:
        vae = AutoencoderTiny.from_pretrained(shop.shipped / "pipeline" / "vae", local_files_only=True)
    return _run(VaeTask(vae, train.pictures, held_out.pictures), shop, recipe)


def train_judge(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    judge = Judge()
    figures = _run(JudgeTask(judge, *shop.pictures()), shop, recipe)
    shop.finished("judge", {"judge": judge})
    judge.cpu().save(shop.work / "judge" / "model.safetensors", figures)
    return figures


def train_tokenizers(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    return {"clip_tokens": len(shop.clip_tokenizer()), "gpt2_tokens": len(shop.gpt2_tokenizer())}


def train_clip(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    tokenizer = shop.clip_tokenizer()
    clip = make_clip(tokenizer)
    if shop.warm:
        clip = CLIPModel.from_pretrained(shop.shipped / "clip", dtype=torch.float32, local_files_only=True)
    return _run(ClipTask(clip, tokenizer, *shop.pictures()), shop, recipe)


def train_unet(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    train, _ = shop.pictures()
    vae, tokenizer = shop.vae(), shop.clip_tokenizer()
    latents = _latents(shop, vae, train)
    unet, text_encoder = shop.shipped_denoiser() if shop.warm else shop.new_denoiser()
    task = UnetTask(
        unet,
        text_encoder,
        tokenizer,
        latents * vae.config.scaling_factor,
        train.caption,
        show=lambda task, path: show(assemble(vae, task.text_encoder, tokenizer, task.unet), shop.work, path),
        compile=shop.compile,
    )
    return _run(task, shop, recipe)


def train_gpt2(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    tokenizer = shop.gpt2_tokenizer()
    gpt2 = make_gpt2(tokenizer, width=shop.shapes.gpt2_width)
    if shop.warm:
        gpt2 = GPT2LMHeadModel.from_pretrained(shop.shipped / "gpt2", dtype=torch.float32, local_files_only=True)
    return _run(Gpt2Task(gpt2, tokenizer, _one_prompt), shop, recipe)


def export(shop: Workshop, recipe: Recipe) -> dict[str, float]:
    """Write every finished model into `shop.shipped`, with the training logs beside them; sizes in bytes."""
    judge = shop.work / "judge" / "model.safetensors"
    export_clip(shop.clip(), shop.clip_tokenizer(), shop.shipped / "clip")
    export_pipeline(shop.pipeline(), shop.shipped / "pipeline")
    gpt2 = make_gpt2(shop.gpt2_tokenizer(), width=shop.shapes.gpt2_width)
    shop.finished("gpt2", {"gpt2": gpt2})
    export_gpt2(gpt2, shop.gpt2_tokenizer(), shop.shipped / "gpt2")
    copies = {judge: shop.shipped / "judge" / judge.name}
    copies |= {shop.work / s / "log.jsonl": shop.shipped / "logs" / f"{s}.jsonl" for s in recipes.RECIPES}
    for source, target in copies.items():
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
    "export": export,
}


def train_vignettes(stage: str, shop: Workshop, *, steps: int | None = None) -> dict[str, float]:
    """Run one stage to its end, resuming it where it was; the figures of its last validation."""
    if stage not in STAGES:
        raise InputError("stage", stage, f"use one of: {', '.join(STAGES)}")
    torch.set_flush_denormal(True)
    recipe = recipes.RECIPES.get(stage, Recipe(steps=1, batch_size=1, learning_rate=0.0))
    torch.manual_seed(recipe.seed)  # the random start of a network comes from the global generator
    return STAGES[stage](shop, replace(recipe, steps=steps) if steps else recipe)


def _run(task, shop: Workshop, recipe: Recipe) -> dict[str, float]:
    return Trainer(task, recipe, shop.work / task.name, device=shop.device).run()


def _latents(shop: Workshop, vae: AutoencoderTiny, train: PictureSet) -> torch.Tensor:
    """Latents of the training pictures, computed once; tells the VAE the scale that gives them unit deviation."""
    path = shop.work / "unet" / f"latents-{len(train)}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, encode_all(vae, train.pictures).numpy())
    latents = torch.from_numpy(np.load(path))
    vae.register_to_config(scaling_factor=round(1 / latents.float().std().item(), 5))
    return latents


def _learned(folder: Path, kind: type, learn: Callable[[Path], object]):
    if not (folder / "tokenizer_config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        learn(folder)
    return kind.from_pretrained(folder, local_files_only=True)


def _captions() -> list[str]:
    return [caption(scene_at("train", i), random.Random(i)) for i in range(recipes.CAPTIONS_FOR_TOKENIZERS)]


def _prompts() -> list[str]:
    return [prompt(scene_at("train", i), random.Random(i)) for i in range(recipes.CAPTIONS_FOR_TOKENIZERS)]


def _one_prompt(rng: random.Random) -> str:
    return prompt(training_scene(rng), rng)
