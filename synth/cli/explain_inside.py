"""Actions of `synth explain` that open up the method: tree, film, schedule, steps."""

from argparse import Namespace
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.cli.options import add_common, add_expansion, add_loras, add_settings, open_study, values
from synth.cli.parsing import add_command, counted, table
from synth.errors import InputError
from synth.jobs import ExpansionSettings, Job, content_key

if TYPE_CHECKING:
    from synth.studies import Study
    from synth.writing.prompts import Expansion

ACTIONS = ("tree", "film", "schedule", "steps")


def register_inside(actions: Any) -> None:
    """Add the actions."""
    _register_tree(actions)
    _register_film(actions)
    _register_schedule(actions)
    _register_steps(actions)


def show_tree(arguments: Namespace) -> int:
    import pandas as pd

    from synth.explain.tree import check_growth, grow
    from synth.explain.tree_figure import tree_figure
    from synth.explain.tree_page import study_pictures, tree_page
    from synth.records.files import write_atomically
    from synth.records.outputs import save

    how = {"branches": arguments.branches, "depth": arguments.depth, "least": arguments.least}
    check_growth(**how)
    found = _study(arguments)
    expansion = found.expansion if found else _expansion(arguments)
    tree = grow(expansion, device=arguments.device or "auto", **how)
    pictures = study_pictures(found) if found else {}
    name = f"tree-{content_key([expansion.as_dict(), how])[:8]}"
    folder = _folder(arguments, found.folder / "explain" if found else None, name)
    save(folder, "tree", tree_figure(tree, pictures))
    save(folder, "tree", pd.DataFrame(tree.rows()))
    write_atomically(folder / "tree.html", tree_page(tree, pictures).encode())
    print(f"{counted(len(list(tree.root.leaves())), 'end')}. Look at {folder / 'tree.html'} and tree.png")
    return 0


def show_film(arguments: Namespace) -> int:
    from synth.explain.film import Studio
    from synth.explain.film_figures import distances, film_strip, film_strips, parted, parting_curve
    from synth.records.outputs import save

    job, against = _jobs(arguments)
    other = 1.0 if job.settings.guidance_scale > 1 else 3.0
    unlike = replace(job, settings=job.settings.but(guidance_scale=other))
    studio = Studio(job.model, device=arguments.device or "auto")
    film, other, *two = studio.film([job, unlike, *against])
    folder = _folder(arguments, None, f"film-{content_key([job.key for job in (job, *against)])[:8]}")
    save(folder, "film", film_strip(studio, film))
    pair = sorted((film, other), key=lambda film: film.job.settings.guidance_scale)
    names = [f"guidance scale {film.job.settings.guidance_scale:g}" for film in pair]
    save(folder, "guidance", film_strips(studio, pair, names, "Without and with guidance"))
    for second in two:
        both = [film, second]
        names = [film.job.prompt for film in both]
        save(folder, "two_prompts", film_strips(studio, both, names, "Two prompts from one noise"))
        save(folder, "parting", parting_curve(*both))
        save(folder, "distances", distances(*both))
        print(f"The prompts part at step {parted(distances(*both)['latents'])} of {len(film)}.")
    print(f"{counted(len(film), 'step')}. Look at {folder / 'film.png'} and what is beside it")
    return 0


def show_schedule(arguments: Namespace) -> int:
    import pandas as pd

    from synth import presets
    from synth.explain.schedule_figures import noise_figure, visits_figure
    from synth.explain.schedules import noise_schedule, scheduler_config, ways
    from synth.jobs import check_whole
    from synth.records.outputs import save

    steps = check_whole("steps", values(arguments).get("steps", 27), 1, 1000)
    model = presets.resolve(arguments.model or "vignettes", "renderer")
    config = scheduler_config(model)
    folder = _folder(arguments, None, f"schedule-{content_key([model.identity(), steps])[:8]}")
    save(folder, "noise", noise_figure(config))
    save(folder, "visits", visits_figure(config, steps))
    save(folder, "noise", noise_schedule(config))
    rows = [(name, number, step) for name, found in ways(config, steps).items() for number, step in enumerate(found, 1)]
    save(folder, "visits", pd.DataFrame(rows, columns=["way", "step", "timestep"]))
    print(f"Look at {folder / 'noise.png'} and {folder / 'visits.png'}")
    return 0


def show_steps(arguments: Namespace) -> int:
    from synth.explain.schedule_figures import errors_figure
    from synth.explain.schedules import AXES, errors
    from synth.records.outputs import save

    found = open_study(arguments)
    if not {axis.name for axis in found.plan.axes} & set(AXES):
        remedy = "give a sweep over steps or respacing, as `synth compare PHRASE --x steps=5,10,20` makes"
        raise InputError("study", found.name, remedy)
    errors_of = errors(found, device=arguments.device or "auto")
    folder = _folder(arguments, found.folder / "explain", "")
    save(folder, "steps", errors_figure(errors_of))
    save(folder, "steps", errors_of)
    means = errors_of.groupby(["way", "steps"], sort=False, as_index=False)["error"].mean()
    rows = [(row.way, row.steps, f"{row.error:.2f}") for row in means.itertuples()]
    print(table(("way", "steps", "grey levels off"), rows))
    print(f"Look at {folder / 'steps.png'}")
    return 0


def _register_tree(actions: Any) -> None:
    tree = add_command(
        actions, "tree", show_tree, "what GPT-2 could have said after a phrase, how likely it was, and what it did say",
        'synth explain tree "a red lighthouse"',
        "synth explain tree --study lighthouses    (its prompts open to their pictures)",
    )  # fmt: skip
    tree.add_argument("phrase", nargs="?", metavar="PHRASE", help="what GPT-2 goes on from")
    tree.add_argument("--study", metavar="STUDY", help="a study, instead of a phrase; the tree goes into its folder")
    tree.add_argument("--branches", type=int, default=3, metavar="N", help="words shown after each (default: 3)")
    tree.add_argument("--depth", type=int, default=6, metavar="N", help="words deep (default: 6)")
    least = "of the texts shown besides the prompts, the smallest probability (default: 0.004)"
    tree.add_argument("--least", type=float, default=0.004, metavar="X", help=least)
    add_common(tree, "n", "seed", "expander", "out", "device")
    add_expansion(tree)
    _add_to(tree)


def _register_film(actions: Any) -> None:
    film = add_command(
        actions, "film", show_film, "a picture as it forms, step by step, without and with guidance",
        'synth explain film "a red lighthouse at sunset"',
        'synth explain film "a red lighthouse at sunset" --against "a red lighthouse at night" --steps 10',
    )  # fmt: skip
    film.add_argument("prompt", metavar="PROMPT", help="what is drawn")
    film.add_argument("--against", metavar="PROMPT", help="a second prompt, from the same noise: where do they part?")
    add_common(film, "seed", "model", "device")
    add_loras(film)
    add_settings(film)
    _add_to(film)


def _register_schedule(actions: Any) -> None:
    schedule = add_command(
        actions, "schedule", show_schedule, "a model's noise schedule, and which of its timesteps are visited",
        "synth explain schedule",
        "synth explain schedule --model sd2 --steps 10",
    )  # fmt: skip
    add_common(schedule, "model")
    schedule.add_argument("--steps", metavar="N", help="how many, where that is free (default: 27)")
    _add_to(schedule)


def _register_steps(actions: Any) -> None:
    steps = add_command(
        actions, "steps", show_steps, "how far a sweep's pictures are from those of 200 steps",
        "synth explain steps samplers            (once there is such a sweep:)",
        'synth compare "a red lighthouse" --x steps=5,10,20 --y scheduler=ddim,euler --name samplers',
        'synth compare "a red lighthouse" --x "respacing=10,10,3,2,2 | fast27 | ddim50" --name glide',
    )  # fmt: skip
    steps.add_argument("study", metavar="STUDY", help="a sweep over steps or respacing: its name, or a path")
    add_common(steps, "out", "device")


def _add_to(parser: Any) -> None:
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="where to write (default: generated_images/explained/)"
    )


def _study(arguments: Namespace) -> "Study | None":
    if (arguments.phrase is None) == (arguments.study is None):
        raise InputError("phrase", arguments.phrase, "give either a phrase, or --study and its name")
    return None if arguments.study is None else open_study(arguments)


def _expansion(arguments: Namespace) -> "Expansion":
    from synth.expansion import expand

    given = values(arguments)
    settings = {field.name: given[field.name] for field in fields(ExpansionSettings) if field.name in given}
    how = {"n": "n", "seed": "seed", "expander": "model", "device": "device"}
    options = {name: given[option] for option, name in how.items() if option in given}
    return expand(arguments.phrase, settings=ExpansionSettings(**settings), **options)


def _jobs(arguments: Namespace) -> tuple[Job, list[Job]]:
    """The job of the prompt, and that of the one it is held against, if there is one."""
    from synth import presets
    from synth.layout.parameters import study_arguments

    if arguments.against == arguments.prompt:
        raise InputError("against", arguments.against, "give another prompt than the first")
    given = {"model": "vignettes", "name": None} | values(arguments)
    taken = study_arguments(phrase=arguments.prompt, prompts=[], **given)
    model = presets.resolve(taken["model"], "renderer", loras=taken["loras"])
    first, *others = [
        Job(phrase=text, prompt=text, seed=taken.get("seed", 0), settings=taken["settings"], model=model)
        for text in (arguments.prompt, arguments.against)
        if text is not None
    ]
    return first, others


def _folder(arguments: Namespace, usual: Path | None, name: str) -> Path:
    """The folder to write to, made: what --to says, or the usual one, or one of that name."""
    from synth.studies import ROOT, check_root

    return check_root(getattr(arguments, "to", None) or usual or Path(ROOT) / "explained" / name)
