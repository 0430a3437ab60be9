"""Figures of noise: its schedule, what it does to a picture, which of its levels are visited, and what that costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes

from synth.compare.panels import colours
from synth.explain.film import Film, Studio, kept_at, kept_shares
from synth.explain.film_figures import strips
from synth.explain.schedules import noise_schedule, ways
from synth.measure.intervals import students_reach
from synth.plots import ACCENT, ALARM, MUTED, NotebookFigure, new_axes, set_title, style

NOISE = "#c2762b"
TIMESTEPS = (0, 100, 250, 400, 550, 700, 850, 999)


def noise_figure(config: Mapping[str, Any]) -> NotebookFigure:
    """A model's noise schedule over its timesteps: shares of the variance, signal-to-noise ratio, and sigma."""
    table = noise_schedule(config)
    last = table.iloc[-1]
    with style():
        figure = NotebookFigure(figsize=(11, 3.3), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.16)
        shares, snr, sigma = figure.subplots(1, 3)
        shares.stackplot(table["timestep"], table["kept"], table["noise"], colors=[ACCENT, "#f0d9c0"], lw=0)
        shares.text(0.06 * len(table), 0.3, "picture", color="white", size=10, weight="bold")
        shares.text(0.62 * len(table), 0.6, "noise", color="#7a4a17", size=10, weight="bold")
        shares.set(ylim=(0, 1), ylabel="share of the variance")
        _over_timesteps(shares, len(table), "Picture and noise", f"alpha-bar ends at {_small(last['kept'])}")
        finite = table[table["kept"] > 1e-6]
        for axes, column in ((snr, "snr"), (sigma, "sigma")):
            axes.plot(table["timestep"], table[column], color=ACCENT, lw=2)
            axes.axhline(1, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=0)
            axes.set(yscale="log", ylim=(finite[column].min() / 2, finite[column].max() * 2))
        _over_timesteps(snr, len(table), "Signal-to-noise ratio", "dashed: as much picture as noise")
        _over_timesteps(sigma, len(table), "Sigma", "noise beside a picture left at its own scale")
        snr.set_ylabel("alpha-bar / (1 - alpha-bar)")
        sigma.set_ylabel("sqrt((1 - alpha-bar) / alpha-bar)")
    return figure


def noised_strip(studio: Studio, film: Film, timesteps: Sequence[int] = TIMESTEPS) -> NotebookFigure:
    """A finished picture with as much noise as the schedule has at some timesteps, decoded.

    The noise is drawn from the film's seed, so it is the one that the picture began with.
    """
    shares = kept_shares(studio.pipeline.scheduler.config)
    timesteps = [timestep for timestep in timesteps if timestep < len(shares)]
    noise = torch.randn(film.finished.shape, generator=torch.Generator().manual_seed(film.job.seed))
    noised = [_mixed(film.finished, noise, kept_at(shares, timestep)) for timestep in timesteps]
    headings = [f"t {timestep}, {shares[timestep]:.0%} of it" for timestep in timesteps]
    rows = [("What the model learns to see through", studio.develop([film.finished, *noised]))]
    return strips(
        rows,
        ["the picture", *headings],
        "From a picture to noise",
        "the way that training goes, in one leap to any timestep",
    )


def visits_figure(config: Mapping[str, Any], steps: int = 27) -> NotebookFigure:
    """Which timesteps are visited, a line for each of `synth.explain.schedules.WAYS`, from noise at the left.

    steps: of the ways that leave the choice; those of GLIDE have as many as they say.
    """
    return visits_of(ways(config, steps), len(kept_shares(config)))


def visits_of(found: Mapping[str, Sequence[float]], total: int) -> NotebookFigure:
    """The same for timesteps of your own, by name; total: how many the noise schedule has."""
    with style():
        figure, axes = new_axes(9.4, 1.5 + 0.34 * len(found))
        for place, timesteps in enumerate(found.values()):
            axes.axhline(place, color="#e5e7eb", lw=1, zorder=0)
            begins = timesteps[0] >= total - 1.5
            axes.vlines(timesteps, place - 0.32, place + 0.32, color=ACCENT if begins else NOISE, lw=1.6)
            axes.text(-0.02 * total, place, f"{len(timesteps)} steps", va="center", size=9, color=MUTED)
        axes.axvline(total - 1, color=ALARM, lw=1, ls=(0, (4, 3)), zorder=0)
        axes.set_yticks(range(len(found)), list(found))
        axes.set(xlim=(total * 1.01, -0.02 * total), ylim=(len(found) - 0.4, -0.6), xlabel="timestep")
        axes.tick_params(axis="y", length=0)
        sns.despine(ax=axes, left=True)
        note = f"dashed: t = {total - 1}, where there is most noise; orange: begins where some of a picture is left"
        set_title(axes, "Which timesteps are visited?", note)
    return figure


def errors_figure(table: pd.DataFrame, title: str = "How far from very many steps?") -> NotebookFigure:
    """The error of `synth.explain.schedules.errors` over the steps, a line for each way; tables may be concatenated.

    Bars are 95% intervals over the seeds, each of which counts with the mean over its prompts (Student's).
    """
    ways = list(table.groupby("way", sort=False))
    palette = colours([way for way, _ in ways])
    shift = 0.02  # of the steps, between two ways, so that no bar hides another
    with style():
        figure, axes = new_axes(height=3.4)
        for number, (colour, (way, group)) in enumerate(zip(palette, ways, strict=True)):
            points = _points(group)
            places = points.index * (1 + shift * (number - (len(ways) - 1) / 2))
            bars = {"lw": 2, "marker": "o", "ms": 5, "capsize": 3, "elinewidth": 1}
            axes.errorbar(places, points["mean"], points["reach"], color=colour, label=way, **bars)
        axes.set(xlabel="steps", ylabel="RMS difference in grey levels", xscale="log", ylim=(0, None))
        ticks = sorted(table["steps"].unique())
        axes.set_xticks(ticks, [f"{tick}" for tick in ticks])
        axes.minorticks_off()
        set_title(axes, title, f"{_bars(table)}; 0 is the picture of the reference")
        if len(ways) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _points(group: pd.DataFrame) -> pd.DataFrame:
    """Mean error and half of its interval at each number of steps, which is the index."""
    by_seed = group.pivot_table("error", "steps", "seed")
    return pd.DataFrame({"mean": by_seed.mean(axis=1), "reach": students_reach(by_seed.to_numpy())})


def _bars(table: pd.DataFrame) -> str:
    seeds = table["seed"].nunique()
    return f"bars: 95% interval over {seeds} seeds" if seeds > 1 else "one seed: how much is chance cannot be told"


def _mixed(picture: torch.Tensor, noise: torch.Tensor, kept: float) -> torch.Tensor:
    return kept**0.5 * picture + (1 - kept) ** 0.5 * noise


def _over_timesteps(axes: Axes, total: int, title: str, note: str) -> None:
    axes.set(xlabel="timestep", xlim=(0, total - 1))
    set_title(axes, title, note)


def _small(value: float) -> str:
    return f"{value:.4f}" if value > 1e-6 else "0: pure noise"
