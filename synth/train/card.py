"""Model cards: what a model is, what it learned from, how well, and how to use it without Synth."""

import json
from pathlib import Path
from typing import Any

import yaml

from synth.models.weights import read_json
from synth.presets import HUB_ID, PRESETS
from synth.train.params import Params, Train

USES = {
    "pipeline": """from diffusers import DiffusionPipeline
pipeline = DiffusionPipeline.from_pretrained("model")
pipeline("a prompt").images[0].save("picture.png")""",
    "lora": """from diffusers import DiffusionPipeline
pipeline = DiffusionPipeline.from_pretrained(<the base>)
pipeline.load_lora_weights("model")
pipeline("a prompt").images[0].save("picture.png")""",
    "gpt2": """from transformers import pipeline
print(pipeline("text-generation", model="model")("a phrase"))""",
    "clip": """from transformers import CLIPModel, CLIPProcessor
model, processor = CLIPModel.from_pretrained("model"), CLIPProcessor.from_pretrained("model")""",
}
WEAKNESSES = {
    "vae": "A UNet knows the latents of the autoencoder that it was trained with: train one on this autoencoder's.",
    "unet": "It was measured on pictures like those that it learned from; what else it knew before may have suffered.",
    "gpt2": "It writes in the manner of its texts, and repeats what they assume.",
    "clip": "Its similarities mean something within its domain only, and compare with no other CLIP's.",
}


def write_card(folder: Path, run: Path, params: Params, checkpoint: Path, figures: dict[str, float]) -> None:
    """Write README.md into a model's folder, in the form that the Hugging Face hub reads.

    It tells the sections data and train of the parameters alone: the others may hold addresses that are nobody's
    business.
    """
    facts, train, hub_id = read_json(run / "run.json"), params.train, _hub_id(params.train)
    head = {"library_name": "transformers" if train.kind in ("gpt2", "clip") else "diffusers"}
    recipe = {name: section for name, section in params.as_dict().items() if name in ("data", "train")}
    parts = [
        f"---\n{yaml.safe_dump(head | ({'base_model': hub_id} if hub_id else {}))}---\n",
        f"# A {_what(train)}\n",
        f"Trained by Synth from `{_code(train.model)}` (`{facts['base']}`), for {_steps(checkpoint)} of "
        f"{train.steps:,} steps of {train.batch_size} samples: of the checkpoints that were kept, the one that was "
        f"validated best{_averaged(train)}.\n",
        "## Data\n",
        f"`{_code(facts['source'])}`, digest `{facts['data']}`. What was held out was never trained on.\n",
        "## Figures on what was held out\n",
        _table(figures),
        "\n## Use\n",
        f"```python\n{_use(train, hub_id)}\n```\n",
        "## Recipe\n",
        f"```yaml\n{yaml.safe_dump(recipe, sort_keys=False)}```\n",
        f"Versions: {', '.join(f'{name} {number}' for name, number in facts['versions'].items())}.\n",
        "## Limits\n",
        f"{WEAKNESSES[train.kind]} It has the licence of its base, and what its data allow.\n",
    ]
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def _hub_id(train: Train) -> str | None:
    """The id of the base on the hub; None for one that is not there."""
    preset = PRESETS.get(train.model)
    if preset is not None:
        return None if preset.folder else preset.source
    return train.base if HUB_ID.fullmatch(train.base) and not Path(train.base).exists() else None


def _use(train: Train, hub_id: str | None) -> str:
    if train.kind != "unet" or not train.lora_rank:
        return USES.get(train.kind, USES["pipeline"])
    preset = PRESETS.get(train.base)
    where = f"synth/vignettes/models/{preset.folder.name}" if preset and preset.folder else hub_id or train.base
    return USES["lora"].replace("<the base>", repr(where))


def _averaged(train: Train) -> str:
    return f", its weights averaged over the steps (EMA {train.ema:g})" if train.ema else ""


def _what(train: Train) -> str:
    if train.kind == "gpt2" and train.lora_rank:
        return f"prompt writer, with a LoRA of rank {train.lora_rank} melted in (alone in adapter/)"
    name = {"unet": "renderer", "vae": "renderer with its autoencoder trained", "gpt2": "prompt writer", "clip": "CLIP"}
    return f"LoRA of rank {train.lora_rank} for a renderer" if train.lora_rank else name[train.kind]


def _steps(checkpoint: Path) -> str:
    return f"{int(checkpoint.stem.removeprefix('step-')):,}"


def _table(figures: dict[str, float]) -> str:
    rows = [f"| {name} | {value:.5g} |" for name, value in figures.items()]
    return "\n".join(["| figure | value |", "|---|---|", *rows]) + "\n"


def _code(text: Any) -> str:
    """A text between backticks: one line, no backticks."""
    return json.dumps(str(text), ensure_ascii=False)[1:-1].replace("`", "'")
