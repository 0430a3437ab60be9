"""The models that ship: plain libraries load them, Synth adds nothing to them, and they know their world."""

import random

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer, GPT2LMHeadModel, GPT2Tokenizer

from synth.expansion import expand
from synth.jobs import Job, Settings
from synth.presets import BUNDLED, SPEEDS, advised, resolve
from synth.rendering import render
from synth.vignettes.attributes import SUBJECTS
from synth.vignettes.captions import parse, plain_caption
from synth.vignettes.dataset import picture_seed, scene_at
from synth.vignettes.evaluation import read_list
from synth.vignettes.export import check_sizes
from synth.vignettes.judge import Judge
from synth.vignettes.world import draw


def jobs(prompts: list[str], settings: Settings) -> list[Job]:
    model = resolve("vignettes", "renderer")
    return [
        Job(phrase=text, prompt=text, seed=seed, settings=settings, model=model) for seed, text in enumerate(prompts)
    ]


def test_they_are_small_enough_to_ship_and_safetensors_only():
    endings = {name.rsplit(".", 1)[-1] for name in check_sizes(BUNDLED)}
    assert endings <= {"safetensors", "json", "jsonl", "txt", "md"}


def test_plain_diffusers_draws_what_synth_draws():
    settings = Settings(steps=6)
    ours = jobs(["a red castle by the sea at night", "a blue cat, watercolor"], settings)
    pipeline = StableDiffusionPipeline.from_pretrained(BUNDLED / "pipeline", local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        [job.prompt for job in ours],
        generator=[torch.Generator().manual_seed(job.seed) for job in ours],
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        height=settings.height,
        width=settings.width,
    ).images
    for one, other in zip(expected, render(ours), strict=True):
        assert np.abs(np.asarray(one, int) - np.asarray(other.image, int)).max() <= 1


@pytest.mark.parametrize("speed", SPEEDS)
def test_the_renderer_draws_what_captions_say(speed):
    items = read_list()[:6]
    pictures = [result.image for result in render(jobs([item.caption for item in items], advised("vignettes", speed)))]
    readings = Judge.load().read(pictures)
    right = [
        seen[name] == value
        for item, seen in zip(items, readings, strict=True)
        for name, value in item.scene.as_dict().items()
    ]
    assert sum(right) >= 32, "of 36"


def test_plain_gpt2_goes_on_with_words_of_the_world():
    gpt2 = GPT2LMHeadModel.from_pretrained(BUNDLED / "gpt2", local_files_only=True)
    words = GPT2Tokenizer.from_pretrained(BUNDLED / "gpt2", local_files_only=True)
    start = words(words.eos_token + "a red lighthouse", return_tensors="pt")
    text = words.decode(gpt2.generate(**start, max_new_tokens=40, do_sample=False)[0], skip_special_tokens=True)
    assert parse(text).is_caption and len(parse(text).values) >= 4


def test_expansions_add_to_their_phrase_and_never_contradict_it():
    for phrase in ("a red lighthouse at sunset", "horse, snow", "big flower blue", "a cat, storybook, postcard"):
        before = parse(phrase).values
        for prompt in expand(phrase, 4):
            after = parse(prompt.text)
            assert after.is_caption, prompt.text
            assert before.items() <= after.values.items() and len(after.values) >= len(before) + 2, prompt.text


@torch.inference_mode()
def test_plain_clip_tells_subjects_apart():
    clip = CLIPModel.from_pretrained(BUNDLED / "clip", local_files_only=True).eval()
    tokenizer = CLIPTokenizer.from_pretrained(BUNDLED / "clip", local_files_only=True)
    processor = CLIPImageProcessor.from_pretrained(BUNDLED / "clip", local_files_only=True)
    scenes = {}
    for index in random.Random(0).sample(range(500), 200):
        scenes.setdefault(scene_at("held-out", index).subject, index)
    pictures = [draw(scene_at("held-out", index), picture_seed("held-out", index)) for index in scenes.values()]
    captions = [plain_caption(scene_at("held-out", index)) for index in scenes.values()]
    texts = tokenizer(captions, padding=True, return_tensors="pt")
    scores = clip(**texts, **processor(pictures, return_tensors="pt")).logits_per_image
    assert len(scenes) == len(SUBJECTS)
    assert (scores.argmax(dim=1) == torch.arange(len(scenes))).sum() >= len(scenes) - 1
