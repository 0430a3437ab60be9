"""The way of diffusers' own `train_text_to_image.py`, written straightforwardly: what Synth's training is measured by.

Pictures come from PNG files through Pillow in a DataLoader; the VAE and the text encoder are in the loop. It draws the
pictures, captions, noises and timesteps that Synth draws, so that both learn from equal samples.
"""

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from diffusers import AutoencoderTiny, DDPMScheduler, UNet2DConditionModel
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from transformers import CLIPTextModel, CLIPTokenizer

from synth.train.arrays import step_generator, step_random, step_rng
from synth.train.data.prepared import PreparedSet
from synth.train.params import Train

Sample = tuple[int, str]


class Pictures(Dataset):
    """PNG files, decoded, resized, cropped and normalised when they are asked for, each with a caption."""

    def __init__(self, folder: Path, size: int, tokenizer: CLIPTokenizer) -> None:
        self.folder, self.size, self.tokenizer = folder, size, tokenizer

    def __getitem__(self, sample: Sample) -> dict[str, torch.Tensor]:
        index, caption = sample
        picture = Image.open(self.folder / f"{index}.png").convert("RGB")
        scale = self.size / min(picture.size)
        picture = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.BILINEAR)
        left, top = ((side - self.size) // 2 for side in picture.size)
        picture = picture.crop((left, top, left + self.size, top + self.size))
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float().div(255).sub(0.5).div(0.5)
        length = self.tokenizer.model_max_length
        words = self.tokenizer(caption, max_length=length, padding="max_length", truncation=True, return_tensors="pt")
        return {"pixel_values": pixels, "input_ids": words.input_ids[0]}


def samples_of(data: PreparedSet, train: Train) -> list[Sample]:
    """Picture and caption of all samples of all steps, as `UnetTask.draw` draws them."""
    samples, places = [], data.indices("train")
    for step in range(train.steps):
        rng, words = step_rng(train.seed, step), step_random(train.seed, step)
        for index in places[rng.integers(0, len(places), train.batch_size)]:
            empty = words.random() < train.caption_dropout
            samples.append((int(index), "" if empty else words.choice(data.records[index].captions)))
    return samples


def noise_of(step: int, train: Train, shape: torch.Size, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise and timesteps (of `count`) of a step, as `UnetTask.draw` draws them."""
    rng = step_rng(train.seed, step)
    rng.integers(0, 2, train.batch_size)  # the pictures came first
    spread = (np.arange(train.batch_size) + rng.random(train.batch_size)) / train.batch_size
    timesteps = torch.from_numpy((spread * count).astype(np.int64))
    return torch.randn(shape, generator=step_generator(train.seed, step)), timesteps


def train_by_recipe(
    model: Path, pngs: Path, data: PreparedSet, train: Train, *, text: bool, workers: int
) -> tuple[dict[str, nn.Module], list[float]]:
    """The trained parts with their averaged weights, and when each step ended.

    train: with precision fp32 or bf16 (accelerate's autocast). text: whether the text encoder learns too.
    """
    accelerator = Accelerator(mixed_precision={"fp32": "no"}.get(train.precision, train.precision), cpu=True)
    dtype = torch.bfloat16 if train.precision == "bf16" else torch.float32
    tokenizer = CLIPTokenizer.from_pretrained(model / "tokenizer")
    scheduler = DDPMScheduler.from_pretrained(model / "scheduler")
    vae = AutoencoderTiny.from_pretrained(model / "vae").requires_grad_(False).to(dtype)
    text_encoder = CLIPTextModel.from_pretrained(model / "text_encoder").requires_grad_(text)
    unet = UNet2DConditionModel.from_pretrained(model / "unet").train()
    parts: dict[str, Any] = {"unet": unet} | ({"text_encoder": text_encoder.train()} if text else {})
    if not text:
        text_encoder.to(dtype)
    parameters = list(itertools.chain(*(part.parameters() for part in parts.values())))
    average = EMAModel(parameters, decay=train.ema)
    optimizer = torch.optim.AdamW(
        parameters, lr=train.learning_rate, betas=train.betas, weight_decay=train.weight_decay
    )
    rate = get_scheduler("constant", optimizer)
    loader = DataLoader(
        Pictures(pngs, data.params.size, tokenizer), train.batch_size, sampler=samples_of(data, train),
        num_workers=workers,
    )  # fmt: skip
    *prepared, optimizer, rate = accelerator.prepare(*parts.values(), optimizer, rate)
    running = dict(zip(parts, prepared, strict=True))
    predicts_v = scheduler.config.prediction_type == "v_prediction"
    times = []
    for step, batch in enumerate(loader):
        latents = vae.encode(batch["pixel_values"].to(dtype)).latents.float() * vae.config.scaling_factor
        noise, timesteps = noise_of(step, train, latents.shape, scheduler.config.num_train_timesteps)
        noisy = scheduler.add_noise(latents, noise, timesteps)
        states = running.get("text_encoder", text_encoder)(batch["input_ids"]).last_hidden_state
        target = scheduler.get_velocity(latents, noise, timesteps) if predicts_v else noise
        predicted = running["unet"](noisy, timesteps, states.float()).sample
        loss = F.mse_loss(predicted.float(), target.float(), reduction="mean")
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(parameters, train.clip_norm)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        average.step(parameters)
        loss.item()  # which the recipe shows in its progress bar
        times.append(time.perf_counter())
    average.copy_to(parameters)
    return parts, times
