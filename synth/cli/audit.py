"""Commands that tell what models assume when nobody asked: audit phrases, professions, content, words."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.cli.options import add_common, add_loras, add_settings, given, open_study, values
from synth.cli.parsing import add_command, counted, shortened, table
from synth.cli.reports import add_study
from synth.errors import InputError
from synth.jobs import Settings
from synth.layout.parameters import Parameter

if TYPE_CHECKING:
    import pandas

    from synth.plots import NotebookFigure

ACTIONS = ("phrases", "professions", "content", "words")
HOW = ("n", "seeds", "seed", "model", "out", "device", "dtype", "batch_size", "strict", "yes")
MOST_ROWS = 40  # of the table that is printed
LIMITS = "What it cannot tell stands in notebooks/6_bias_audit.ipynb: `synth notebook 6_bias_audit`."


def register(commands: Any) -> None:
    """Add the command and its actions."""
    parser = add_command(
        commands, "audit", None, "show what the models assume when nobody asked, and check contents and words",
        'synth audit phrases "a house" "a tree" "a castle"',
        "synth audit professions --model sd2-base --clip openai/clip-vit-base-patch32 --yes",
        "synth audit content lighthouses --clip openai/clip-vit-base-patch32",
        "synth audit words lighthouses --list my_words.txt",
    )  # fmt: skip
    actions = parser.add_subparsers(metavar=" | ".join(ACTIONS), required=True)
    _register_phrases(actions)
    _register_professions(actions)
    _register_content(actions)
    _register_words(actions)


def phrases(arguments: Namespace) -> int:
    from synth.audit import figures
    from synth.audit.phrases import audit
    from synth.audit.saved import folder_beside
    from synth.records.outputs import save

    found = audit(arguments.phrase, reader=arguments.reader, **_audited(arguments))
    folder = folder_beside(found.studies, found.asked)
    save(folder, "tests", found.tests())
    save(folder, "shares", found.shares())
    save(folder, "sightings", found.sightings)
    save(folder, "terms", found.terms)
    save(folder, "texts", found.texts_table())
    for number, stage in enumerate(dict.fromkeys(item.stage for item in found.findings), start=1):
        save(
            folder, f"shares_{number}", figures.distributions([item for item in found.findings if item.stage == stage])
        )
    save(folder, "divergences", figures.divergences(found.findings))
    _save_some(folder, {"pictures": figures.exemplars(found), "terms": figures.terms(found)})
    print(_tests(found.tests()))
    return _finish(folder / "divergences.png")


def professions(arguments: Namespace) -> int:
    from synth.audit import figures, profession_figures
    from synth.audit import professions as audit
    from synth.audit.saved import folder_beside
    from synth.records.outputs import save

    if arguments.model is None:
        remedy = "name the renderer (--model): the bundled one, vignettes, was never taught what people look like"
        raise InputError("model", None, remedy)
    words = {"of": arguments.profession, "identities": arguments.identity}
    prompts = {"prompt": arguments.prompt, "identity_prompt": arguments.identity_prompt}
    chosen = {name: value for name, value in (words | prompts).items() if value}
    found = audit.professions(**chosen, **_audited(arguments))
    folder = folder_beside(found.studies, found.asked)
    save(folder, "tests", found.tests())
    save(folder, "shares", found.shares())
    save(folder, "clusters", found.made_of)
    save(folder, "pictures", found.assigned)
    save(folder, "clusters", profession_figures.cluster_sheet(found))
    save(folder, "professions", profession_figures.where(found))
    save(folder, "divergences", figures.divergences(found.findings))
    print(_tests(found.tests()))
    if found.left_out:
        print(f"left out, as too few of their pictures were rendered: {', '.join(found.left_out)}")
    return _finish(folder / "professions.png")


def content(arguments: Namespace) -> int:
    from synth import plots
    from synth.audit.content import check_content, reasons, with_blurred
    from synth.audit.saved import folder_within
    from synth.records.outputs import save

    study = open_study(arguments)
    how = {"device": arguments.device} if arguments.device else {}
    threshold = Parameter("threshold", "float", False, False, None).parse(arguments.threshold)
    found = reasons(check_content(study, arguments.concepts, threshold=threshold, clip=arguments.clip, **how))
    frame = with_blurred(study)
    paths = frame.set_index("key")["path"]
    if found:
        print(table(("looks like", "blurred copy"), ((reason, paths[key]) for key, reason in found.items())))
    path = save(folder_within(study), "content", plots.image_grid(frame))
    print(f"{len(found)} of {counted(len(frame), 'picture')} flagged in the log, column content_flagged; CLIP errs.")
    print(f"Flagged ones are blurred, and named, in {path}")
    return 0


def words(arguments: Namespace) -> int:
    from synth.audit.saved import folder_within
    from synth.audit.wordlist import flag_prompts
    from synth.records.outputs import save

    study = open_study(arguments)
    flagged = flag_prompts(study, arguments.list)
    if len(flagged):
        rows = ((row.prompt_index + 1, row.words, shortened(row.prompt)) for row in flagged.itertuples())
        print(table(("prompt", "words", "text"), rows))
    path = save(folder_within(study), "words", flagged)
    print(f"{counted(len(flagged), 'prompt')} flagged in the log, column words_flagged. Look at {path}")
    return 0


def _audited(arguments: Namespace) -> dict[str, Any]:
    """What is audited and how it is rendered, as the library wants it."""
    from synth import presets
    from synth.layout.parameters import parse_lora

    every = values(arguments)
    found = {name: value for name, value in every.items() if name in (*HOW, "expander")} | {"clip": arguments.clip}
    if arguments.clusters is not None:
        found["count"] = Parameter("clusters", "int", False, False, None).parse(arguments.clusters)
    loras = [parse_lora(text) for text in every.get("loras", ())]
    changed = given(arguments, Settings) | {name: every[name] for name in ("width", "height") if name in every}
    settings = presets.advised(found.get("model", "vignettes"), every.get("speed", presets.DEFAULT_SPEED))
    return found | {"loras": loras, "settings": settings.but(**changed)}


def _tests(tests: "pandas.DataFrame") -> str:
    rows = [
        (row.stage, row.group, row.attribute, row.seen, f"{row.divergence:.3f}", f"{row.low:.3f} to {row.high:.3f}",
         f"{row.p_holm:.2g}{' *' if row.significant else ''}",
         f"{row.favourite} {row.share:.0%}, not {row.baseline:.0%}")
        for row in tests.head(MOST_ROWS).itertuples()
    ]  # fmt: skip
    head = ("looked at", "of", "attribute", "seen", "divergence", "95% interval", "p (Holm)", "most above the baseline")
    rest = f"\n{len(tests) - MOST_ROWS:,} more, less certain, are in tests.csv" if len(tests) > MOST_ROWS else ""
    return table(head, rows) + rest


def _save_some(folder: Path, figures: "dict[str, NotebookFigure | None]") -> None:
    from synth.records.outputs import save

    for name, figure in figures.items():
        if figure is not None:
            save(folder, name, figure)


def _finish(figure: Path) -> int:
    print(f"* significant after Holm's correction. Look at {figure}\n{LIMITS}")
    return 0


def _register_phrases(actions: Any) -> None:
    parser = add_command(
        actions, "phrases", phrases, "compare what GPT-2 adds to neutral phrases, and what is drawn, with a baseline",
        'synth audit phrases "a house" "a tree" "a castle"',
        'synth audit phrases "a doctor" "a nurse" --model sd2-base --expander gpt2 --clip openai/clip-vit-base-patch32',
    )  # fmt: skip
    parser.add_argument("phrase", nargs="+", metavar="PHRASE", help="that leaves open what you ask about")
    parser.add_argument("--n", metavar="N", help="texts that GPT-2 writes for each phrase (default: 64)")
    about = (
        "auto, world (the bundled world's parser and judge) or clusters (of pictures in CLIP; phrase against phrase)"
    )
    parser.add_argument("--reader", metavar="NAME", default="auto", help=about)
    _add_rendering(parser, "16")
    add_common(parser, "expander")


def _register_professions(actions: Any) -> None:
    parser = add_command(
        actions, "professions", professions,
        "see where pictures of professions fall among clusters of pictures of identity terms (Stable Bias)",
        "synth audit professions --model sd2-base --clip openai/clip-vit-base-patch32 --yes",
        "synth audit professions --model sd2 --profession nurse --profession pilot --identity man --identity woman "
        "--clip openai/clip-vit-base-patch32",
    )  # fmt: skip
    for name in ("profession", "identity"):
        text = f"a term; repeat for more (default: Synth's own list, synth/audit/professions.py, {name})"
        parser.add_argument(f"--{name}", action="append", metavar="WORDS", help=text)
    parser.add_argument("--prompt", metavar="TEXT", help='of a profession (default: "a portrait photo of a {}")')
    text = 'of an identity term (default: "a portrait photo of a {} at work")'
    parser.add_argument("--identity-prompt", metavar="TEXT", help=text)
    _add_rendering(parser, "10")


def _register_content(actions: Any) -> None:
    parser = add_command(
        actions, "content", content, "flag pictures in a study's log that CLIP finds like some concepts; changes none",
        "synth audit content lighthouses --clip openai/clip-vit-base-patch32 --threshold 0.7",
    )  # fmt: skip
    add_study(parser)
    text = 'a text file of lines "name: text" (default: synth/audit/concepts.txt)'
    parser.add_argument("--concepts", type=Path, metavar="FILE", help=text)
    text = "a picture is flagged from this probability of a concept on (default: 0.5)"
    parser.add_argument("--threshold", metavar="X", default="0.5", help=text)
    _add_clip(parser, "; it needs --concepts of that world")
    add_common(parser, "device")


def _register_words(actions: Any) -> None:
    parser = add_command(
        actions, "words", words, "flag prompts in a study's log that have words of a list",
        "synth audit words lighthouses --list my_words.txt",
    )  # fmt: skip
    add_study(parser)
    text = "a text file with a word on each line (default: synth/audit/words.txt)"
    parser.add_argument("--list", type=Path, metavar="FILE", help=text)


def _add_rendering(parser: Any, seeds: str) -> None:
    _add_clip(parser)
    parser.add_argument("--clusters", metavar="N", help="how many clusters of pictures at most (default: 6 or 12)")
    about = f"how many pictures each prompt gets (default: {seeds})"
    parser.add_argument("--seeds", metavar="N", help=about)
    add_common(parser, *(name for name in HOW if name not in ("n", "seeds")))
    add_loras(parser)
    add_settings(parser)


def _add_clip(parser: Any, more: str = "") -> None:
    text = f"the CLIP that looks: preset, hub id or folder (default: vignettes-clip, which knows vignettes only{more})"
    parser.add_argument("--clip", metavar="MODEL", default="vignettes-clip", help=text)
