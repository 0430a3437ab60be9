"""Model cards: what a model is, what it learned from, how well, and how to use it without Synth."""

import json
from pathlib import Path
from typing import Any

import yaml

from synth.models.weights import read_json
from synth.train.params import Params

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
    """Write README.md into a model's folder, in the form that the Hugging Face hub reads."""
    facts = read_json(run / "run.json")
    train = params.train
    use = {"unet": "lora" if train.lora_rank else "pipeline", "vae": "pipeline"}.get(train.kind, train.kind)
    head = {"library_name": "transformers" if train.kind in ("gpt2", "clip") else "diffusers", "base_model": train.base}
    parts = [
        f"---\n{yaml.safe_dump(head)}---\n",
        f"# A {_what(params)}\n",
        f"Trained by Synth from `{_code(train.base)}` (`{facts['base']}`), for {_steps(checkpoint)} of {train.steps:,} "
        f"steps of {train.batch_size} samples: the checkpoint that was validated best.\n",
        "## Data\n",
        f"`{_code(facts['source'])}`, digest `{facts['data']}`. What was held out was never trained on.\n",
        "## Figures on what was held out\n",
        _table(figures),
        "\n## Use\n",
        f"```python\n{USES[use].replace('<the base>', repr(train.base))}\n```\n",
        "## Recipe\n",
        f"```yaml\n{yaml.safe_dump(params.as_dict(), sort_keys=False)}```\n",
        f"Versions: {', '.join(f'{name} {number}' for name, number in facts['versions'].items())}.\n",
        "## Limits\n",
        f"{WEAKNESSES[train.kind]} It has the licence of its base, and what its data allow.\n",
    ]
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def _what(params: Params) -> str:
    train = params.train
    name = {"unet": "renderer", "vae": "renderer's autoencoder", "gpt2": "prompt writer", "clip": "CLIP"}[train.kind]
    return f"LoRA of rank {train.lora_rank} for a {name}" if train.lora_rank else name


def _steps(checkpoint: Path) -> str:
    return f"{int(checkpoint.stem.removeprefix('step-')):,}"


def _table(figures: dict[str, float]) -> str:
    rows = [f"| {name} | {value:.5g} |" for name, value in figures.items()]
    return "\n".join(["| figure | value |", "|---|---|", *rows]) + "\n"


def _code(text: Any) -> str:
    """A text between backticks: one line, no backticks."""
    return json.dumps(str(text), ensure_ascii=False)[1:-1].replace("`", "'")
