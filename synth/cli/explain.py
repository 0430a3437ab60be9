"""Commands that tell why pictures look as they do: explain."""

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from synth.cli import explain_inside
from synth.cli.options import add_common, values
from synth.cli.parsing import add_command, counted, shortened, table
from synth.errors import InputError, StudyError
from synth.jobs import check_whole

if TYPE_CHECKING:
    from synth.records.plans import Plan
    from synth.studies import Study

ACTIONS = ("words", "effects", "variance", "drift", *explain_inside.ACTIONS)
OF_A_PHRASE = ("n", "seeds", "seed", "model", "expander", "name")  # options that make a study, not those of one
HOW = ("device", "dtype", "batch_size", "yes")


def register(commands: Any) -> None:
    """Add the command and its actions."""
    parser = add_command(
        commands, "explain", None, "show why pictures look as they do: words, phrases, noise, and what happens inside",
        "synth explain words lighthouses",
        'synth explain effects "a red lighthouse at sunset"     (a phrase of several words is made a study first)',
        "synth explain variance lighthouses castles",
        "synth explain drift lighthouses",
    )  # fmt: skip
    actions = parser.add_subparsers(metavar=" | ".join(ACTIONS), required=True)
    _register_words(actions)
    _register_effects(actions)
    _register_variance(actions)
    _register_drift(actions)
    explain_inside.register_inside(actions)


def words(arguments: Namespace) -> int:
    from synth.explain import word_figures as figures
    from synth.explain.studied import folder_of
    from synth.explain.words import check_words, study_heat, word_table
    from synth.records.outputs import save

    study = _prepared(arguments.study, arguments)()
    check_words([prompt.text for prompt in study.expansion], arguments.word)
    folder, numbers = folder_of(study), {prompt.text: place for place, prompt in enumerate(study.expansion, start=1)}
    heats, shown = [], set()
    for heat in study_heat(study, _prompt_index(arguments), **_given(arguments, *HOW)):
        heats.append(heat.without_maps())
        if heat.job.prompt in numbers and heat.job.prompt not in shown:
            shown.add(heat.job.prompt)
            name = f"words_{numbers[heat.job.prompt]}"
            save(folder, name, figures.word_maps(heat, arguments.word))
            save(folder, f"{name}_by_step", figures.maps_by_step(heat, arguments.word))
            save(folder, f"{name}_by_layer", figures.maps_by_layer(heat, arguments.word))
    found = word_table(heats)
    save(folder, "words", found)
    save(folder, "who_drew", figures.who_drew(heats))
    shares = found.groupby("word", sort=False)["share"].mean().nlargest(8)
    print(table(("word", "share"), ((word, f"{share:.1%}") for word, share in shares.items())))
    return _finish(study, f"{counted(len(heats), 'picture')} recorded", "who_drew.png")


def effects(arguments: Namespace) -> int:
    from synth.explain import effect_figures as figures
    from synth.explain.effects import effects as find
    from synth.explain.studied import folder_of
    from synth.records.outputs import save

    study = _prepared(arguments.study, arguments)()
    index = _prompt_index(arguments) or 0
    found = find(study, index, arguments.word, **_clip(arguments), **_given(arguments, *HOW))
    folder, name = folder_of(study), f"effects_{index + 1}"
    save(folder, name, found.table())
    save(folder, f"{name}_by_seed", found.frame)
    save(folder, name, figures.effect_sizes(found))
    save(folder, f"{name}_pictures", figures.effect_sheet(found))
    rows = [
        (shortened(row.part, 40), row.seeds, f"{row.clip_distance:.3f}", f"{row.pixel_difference:.3f}")
        for row in found.table().itertuples()
    ]
    print(table(("without", "seeds", "CLIP distance", "pixel difference"), rows))
    return _finish(study, f"{counted(len(rows), 'phrase')} left out", f"{name}_pictures.png")


def variance(arguments: Namespace) -> int:
    from synth.explain.studied import folder_of
    from synth.explain.variance import check_counts, split, variance_bars
    from synth.records.outputs import save

    prepared = [_prepared(text, arguments, check_counts) for text in arguments.study]
    studies = [run() for run in prepared]
    splits = [split(study, **_clip(arguments), **_given(arguments, "device")) for study in studies]
    for study, item in zip(studies, splits, strict=True):
        save(folder_of(study), "variance", item.table())
    save(folder_of(studies[0]), "variance", variance_bars(splits))
    for item in splits:
        print(item.study, *item.shares, sep="\n  ")
    return _finish(
        studies[0], f"{counted(sum(item.prompts * item.seeds for item in splits), 'picture')} compared", "variance.png"
    )


def drift(arguments: Namespace) -> int:
    from synth.explain.drift import drift as find
    from synth.explain.drift import drift_rows
    from synth.explain.studied import folder_of
    from synth.records.outputs import save

    study = _prepared(arguments.study, arguments)()
    found = find(study, **_clip(arguments), **_given(arguments, "device"))
    prompts, folder = found.table(), folder_of(study)
    save(folder, "drift", prompts)
    save(folder, "drift_by_picture", found.frame)
    save(folder, "drift", drift_rows(found))
    rows = [
        (row.prompt_index + 1, f"{row.phrase_prompt:.2f}", f"{row.phrase_picture:.2f}", f"{row.prompt_picture:.2f}",
         _lost(row), shortened(row.prompt, 60))
        for row in prompts.itertuples()
    ]  # fmt: skip
    print(table(("prompt", "phrase-prompt", "phrase-picture", "prompt-picture", "lost by", "text"), rows))
    lost = int((prompts["prompt_lost"] | prompts["picture_lost"]).sum())
    return _finish(study, f"{lost} of {counted(len(prompts), 'prompt')} lost the phrase", "drift.png")


def _lost(row: Any) -> str:
    return ", ".join(name for name, lost in (("prompt", row.prompt_lost), ("picture", row.picture_lost)) if lost)


def _finish(study: "Study", done: str, figure: str) -> int:
    from synth.explain.studied import FOLDER

    print(f"{done}. Look at {study.folder / FOLDER / figure}")
    return 0


def _prepared(
    text: str, arguments: Namespace, check_counts: Callable[[int, int], None] = lambda prompts, seeds: None
) -> Callable[[], "Study"]:
    """What opens the study of that name, or makes or finishes one of a phrase of several words.

    All that can be wrong is told before: --clip, --prompt, and what check_counts says to so many prompts and seeds.
    """
    from synth.studies import ROOT, Study

    if clip := getattr(arguments, "clip", None):
        from synth.measure.clip import check_clip

        check_clip(clip)
    own = _given(arguments, *OF_A_PHRASE)
    try:
        found = Study.open(text, arguments.out or ROOT)
    except StudyError:
        if len(text.split()) < 2:
            raise
        plan, make = _planned(text, own | _given(arguments, "out", *HOW))
    else:
        for name, value in own.items():
            raise InputError(name, value, f"leave it out: {text} is a study, which has its own")
        plan, make = found.plan, lambda: found
    check_counts(plan.n, len(plan.seeds))
    if getattr(arguments, "prompt", None) is not None:
        check_whole("prompt", arguments.prompt, 1, plan.n)
    return make


def _planned(phrase: str, given: dict[str, Any]) -> tuple["Plan", Callable[[], "Study"]]:
    """The plan of a phrase's study, and what renders it."""
    from synth.layout.parameters import study_arguments
    from synth.records.plans import make_plan
    from synth.studies import study

    taken = study_arguments(phrase=phrase, prompts=[], **({"model": "vignettes", "name": None} | given))
    plan = make_plan(**{name: value for name, value in taken.items() if name not in ("out", "name", *HOW)})
    return plan, partial(study, **taken)


def _given(arguments: Namespace, *names: str) -> dict[str, Any]:
    return {name: value for name, value in values(arguments).items() if name in names}


def _clip(arguments: Namespace) -> dict[str, str]:
    return {"clip": arguments.clip} if arguments.clip else {}


def _prompt_index(arguments: Namespace) -> int | None:
    """The prompt asked for, counted from 0, or None for none."""
    return None if arguments.prompt is None else arguments.prompt - 1


def _register_words(actions: Any) -> None:
    parser = _add(
        actions, "words", words, "show where and when each word of a prompt acted, and who drew the picture",
        "synth explain words lighthouses --prompt 2",
        "synth explain words lighthouses --word red --word sunset",
    )  # fmt: skip
    _add_prompt(parser, "all")
    _add_words(parser, "show this word only; repeat for more (default: those that drew most)")


def _register_effects(actions: Any) -> None:
    parser = _add(
        actions, "effects", effects, "leave out one phrase after another at the same noise, and show what changes",
        "synth explain effects lighthouses --prompt 2",
        'synth explain effects lighthouses --word red --word "at sunset"',
    )  # fmt: skip
    _add_prompt(parser, "1")
    _add_words(parser, "leave out these words; repeat for more (default: what GPT-2 added, phrase by phrase)")
    _add_clip(parser)


def _register_variance(actions: Any) -> None:
    parser = _add(
        actions, "variance", variance, "split the variance of pictures between prompt and noise, a bar a study",
        "synth explain variance lighthouses castles", many=True,
    )  # fmt: skip
    _add_clip(parser)


def _register_drift(actions: Any) -> None:
    parser = _add(
        actions, "drift", drift, "compare phrase, prompts and pictures, and flag prompts that lost the phrase",
        "synth explain drift lighthouses",
    )  # fmt: skip
    _add_clip(parser)


def _add(actions: Any, name: str, run: Callable[..., int], about: str, *examples: str, many: bool = False) -> Any:
    parser = add_command(actions, name, run, about, *examples)
    text = "a study (see `synth study list`), or a phrase of several words to make one of"
    parser.add_argument("study", nargs="+" if many else None, metavar="STUDY", help=text)
    add_common(parser, "out", *HOW)
    add_common(parser.add_argument_group("to make a study of a phrase"), *OF_A_PHRASE)
    return parser


def _add_prompt(parser: Any, default: str) -> None:
    parser.add_argument("--prompt", type=int, metavar="N", help=f"of which prompt, counted from 1 (default: {default})")


def _add_words(parser: Any, text: str) -> None:
    parser.add_argument("--word", action="append", default=[], metavar="WORDS", help=text)


def _add_clip(parser: Any) -> None:
    text = "the CLIP that looks: preset, hub id or folder (default: vignettes-clip, which knows vignettes only)"
    parser.add_argument("--clip", metavar="MODEL", help=text)
