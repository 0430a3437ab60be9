"""What a prompt becomes before a picture is drawn: tokens, and the states that the UNet attends to."""

from html import escape

import torch
from torch import Tensor

from synth.diffusion.embedding import Embedder
from synth.explain.film import Studio
from synth.layout.lettering import legible
from synth.layout.pages import Html, table
from synth.plots import ACCENT, FAINT, NotebookFigure, new_axes, set_title, style
from synth.writing.tokens import renderer_tokenizer

PARTS = {  # a pipeline's networks: what each is given, and what it gives
    "text_encoder": ("{length} tokens", "{length} states of {states} numbers"),
    "text_encoder_2": ("{length} tokens", "the other part of the same states, and one for the whole text"),
    "unet": ("latents {latents}, a timestep, the states", "a prediction {latents}, at each step"),
    "vae": ("the finished latents {latents}", "a picture 3 x {height} x {width}"),
}


def tokens(studio: Studio, prompt: str) -> list[tuple[str, int]]:
    """The tokens that the renderer reads of a prompt, start and end included, with their numbers in its vocabulary."""
    tokenizer = renderer_tokenizer(studio.model.name)
    numbers = tokenizer(prompt, truncation=True).input_ids
    return list(zip(tokenizer.convert_ids_to_tokens(numbers), numbers, strict=True))


def token_table(studio: Studio, prompt: str) -> Html:
    """The same as a table; the padding up to the length that the text encoder wants is told, not shown."""
    read = tokens(studio, prompt)
    length = renderer_tokenizer(studio.model.name).model_max_length
    cells = [f"<code>{escape(text.removesuffix('</w>'))}</code>" for text, _ in read]
    rest = [f"and {length - len(read)} to fill up"] if length > len(read) else []
    numbers = [str(number) for _, number in read] + [""] * len(rest)
    return table(["", *map(str, range(1, len(read) + 1)), *[""] * len(rest)], [
        ["token", *cells, *rest], ["number", *numbers],
    ], "log")  # fmt: skip


def parts_table(studio: Studio, width: int, height: int) -> Html:
    """The model's networks: what goes in, what comes out, and how many parameters each has."""
    pipeline = studio.pipeline
    factor = pipeline.vae_scale_factor
    sizes = {
        "length": pipeline.tokenizer.model_max_length, "states": pipeline.unet.config.cross_attention_dim,
        "latents": f"{pipeline.unet.config.out_channels} x {height // factor} x {width // factor}",
        "width": width, "height": height,
    }  # fmt: skip
    rows = [
        [name.replace("_", " "), given.format(**sizes), made.format(**sizes), f"{_parameters(network) / 1e6:,.1f} M"]
        for name, (given, made) in PARTS.items()
        if (network := getattr(pipeline, name, None)) is not None
    ]
    return table(["network", "goes in", "comes out", "parameters"], rows, "prompts")


def state_changes(studio: Studio, a: str, b: str) -> list[tuple[str, float]]:
    """The tokens of prompt `b`, and how far the state of each is from that at the same place of `a`, 0 to 2.

    1 minus the cosine of the angle between the two: 0 is the same state. CLIP's text encoder lets a token look at those
    before it only (Radford et al. 2021, "CLIP", section 2.4), so what comes before the first difference is the same.
    """
    with torch.inference_mode():
        before, after = (found.tokens.float().cpu() for found in Embedder(studio.pipeline).prompts([a, b]))
    return [(text, float(change)) for (text, _), change in zip(tokens(studio, b), _turned(before, after), strict=False)]


def states_figure(studio: Studio, a: str, b: str) -> NotebookFigure:
    """`state_changes` as bars: what a changed word changes for the words after it."""
    changes = state_changes(studio, a, b)
    before = [text for text, _ in tokens(studio, a)]
    other = [place >= len(before) or before[place] != text for place, (text, _) in enumerate(changes)]
    read = [legible(text.removesuffix("</w>")) for text, _ in changes]
    with style():
        figure, axes = new_axes(max(7.6, 0.42 * len(read)), 3.0)
        heights = [change for _, change in changes]
        axes.bar(range(len(read)), heights, color=[ACCENT if new else "#9cc3d1" for new in other], width=0.7)
        axes.axhline(0, color=FAINT, lw=1, zorder=0)
        axes.set_xticks(range(len(read)), read, rotation=45, ha="right", rotation_mode="anchor")
        axes.set(ylabel="1 - cosine", ylim=(0, max(max(heights) * 1.1, 0.05)))
        set_title(
            axes,
            "Whose states change with a word?",
            "dark: the tokens that were exchanged; before them nothing can change",
        )
    return figure


def _turned(before: Tensor, after: Tensor) -> Tensor:
    return (1 - torch.nn.functional.cosine_similarity(before, after, dim=-1)).clamp(min=0)


def _parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
