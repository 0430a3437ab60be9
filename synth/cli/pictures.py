"""Commands around prompts and pictures: expand, render, verify."""

import json
import sys
from argparse import Namespace
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from synth.cli.options import add_common, add_expansion, add_loras, add_settings, values
from synth.cli.parsing import add_command, table
from synth.cli.reports import finish
from synth.errors import InputError, SynthError
from synth.jobs import ExpansionSettings

if TYPE_CHECKING:
    from synth.writing.prompts import Expansion


def register(commands: Any) -> None:
    """Add the commands."""
    _register_expand(commands)
    _register_render(commands)
    parser = add_command(
        commands, "verify", verify, "render pictures again from nothing but their files, and compare the pixels",
        "synth verify generated_images/lighthouses/images/*.png",
    )  # fmt: skip
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="a PNG that Synth saved, from anywhere")
    add_common(parser, "device")


def expand(arguments: Namespace) -> int:
    from synth.expansion import expand as expand_phrase

    given = values(arguments)
    taken = {field.name: given.pop(field.name) for field in fields(ExpansionSettings) if field.name in given}
    renamed = {"model": "renderer", "expander": "model"}
    how = {renamed.get(name, name): value for name, value in given.items()}
    expansion = expand_phrase(arguments.phrase, settings=ExpansionSettings(**taken), **how)
    if arguments.json:
        print(json.dumps(expansion.as_dict(), indent=1, ensure_ascii=False))
    elif arguments.candidates:
        print(_candidates(expansion))
    else:
        print("\n".join(prompt.text for prompt in expansion))
    return 0


def render(arguments: Namespace) -> int:
    from synth.layout.parameters import study_arguments
    from synth.studies import study
    from synth.writing.prompts import read_prompts

    prompts = list(arguments.prompt)
    if arguments.file is not None:
        prompts += read_prompts(arguments.file)
    if not prompts:
        raise InputError("prompts", prompts, "give a file of prompts, or --prompt TEXT")
    given = {"model": "vignettes", "name": None} | values(arguments)
    return finish(study(**study_arguments(phrase="", prompts=prompts, **given)))


def verify(arguments: Namespace) -> int:
    from synth.records.verification import verify as render_again

    codes = []
    for path in arguments.pictures:
        try:
            verification = render_again(path, **values(arguments))
            print(verification, flush=True)
            codes.append(0 if verification.equal else 1)
        except SynthError as error:
            place = "" if str(path) in str(error) else f"{path}: "
            print(f"synth: {place}{error}", file=sys.stderr)
            codes.append(2)
    return max(codes)


def _candidates(expansion: "Expansion") -> str:
    """All that GPT-2 wrote: the chosen first, then the others in the order they were drawn."""
    chosen = {prompt.candidate for prompt in expansion}
    others = [prompt for prompt in expansion.candidates if prompt.candidate not in chosen]
    rows = [(p.candidate, p.fate, f"{p.logprob:.1f}", p.renderer_tokens, p.text) for p in (*expansion, *others)]
    return table(("candidate", "fate", "log-probability", "tokens", "prompt"), rows)


def _register_expand(commands: Any) -> None:
    parser = add_command(
        commands, "expand", expand, "print the prompts that GPT-2 makes of a phrase, one on each line",
        'synth expand "a red lighthouse" --n 8 > prompts.txt',
        'synth expand "a red lighthouse" --candidates --diversity 1',
    )  # fmt: skip
    parser.add_argument("phrase", metavar="PHRASE", help="how each prompt begins")
    parser.add_argument("--candidates", action="store_true", help="show also those that were not chosen, and why")
    parser.add_argument("--json", action="store_true", help="print all that is known of each prompt, as JSON")
    add_common(parser, "n", "seed", "expander", "model", "device")
    add_expansion(parser)


def _register_render(commands: Any) -> None:
    parser = add_command(
        commands, "render", render, "render people's own prompts, without GPT-2, and lay them side by side",
        "synth render prompts.txt --seeds 3",
        'synth render --prompt "a green horse" --prompt "an astronaut riding a green horse" --model sdxl',
    )  # fmt: skip
    about = "a .txt with a prompt on each line, or a .csv with a column `prompt`"
    parser.add_argument("file", nargs="?", metavar="FILE", help=about)
    parser.add_argument("--prompt", action="append", default=[], metavar="TEXT", help="a prompt; repeat for more")
    add_common(parser, "seeds", "seed", "model", "out", "name", "device", "dtype", "batch_size", "strict", "yes")
    add_common(parser, "source", "mask")
    add_loras(parser)
    add_settings(parser)
