"""Samplers by the names people know them by."""

import inspect
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import LCMScheduler, SchedulerMixin, TCDScheduler

from synth.errors import InputError
from synth.jobs import SCHEDULERS, Settings, check_choice
from synth.timesteps import visited

_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "lms": ("LMSDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "dpm2": ("KDPM2DiscreteScheduler", {}),
    "dpm2-a": ("KDPM2AncestralDiscreteScheduler", {}),
    "dpm++2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "dpm++2m-karras": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True}),
    "dpm++2m-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpm++2m-sde-karras": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True},
    ),
    "dpm++sde": ("DPMSolverSinglestepScheduler", {"algorithm_type": "sde-dpmsolver++", "lower_order_final": True}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "deis": ("DEISMultistepScheduler", {"algorithm_type": "deis", "solver_type": "logrho"}),
    "lcm": ("LCMScheduler", {}),
    "tcd": ("TCDScheduler", {}),
}
CLASSES = {name for name, _ in _KINDS.values()}
# Where a model's own config is silent: clipping the prediction to -1..1 suits pixels and ruins latents.
_LATENT = {"clip_sample": False, "thresholding": False}
_DECIDED_BY_NAME = ("use_karras_sigmas", "algorithm_type", "solver_type", "skip_prk_steps", "lower_order_final")


def make_scheduler(name: str, config: dict[str, Any]) -> SchedulerMixin:
    """A new scheduler called `name` (one of jobs.SCHEDULERS) with the noise schedule and prediction type of `config`.

    config: that of the model's own scheduler, of whatever kind. What the name decides (Karras sigmas, kind of solver)
    is not taken over from it: "dpm++2m" is the same sampler for every model. "native" is the model's own, unchanged.
    """
    if check_choice("scheduler", name, SCHEDULERS) == "native":
        return getattr(diffusers, config["_class_name"]).from_config(config)
    class_name, options = _KINDS[name]
    noise = {key: value for key, value in config.items() if key not in _DECIDED_BY_NAME}
    return getattr(diffusers, class_name).from_config(_LATENT | noise, **options)


def schedule(settings: Settings, config: dict[str, Any], device: str = "cpu") -> tuple[SchedulerMixin, torch.Tensor]:
    """The scheduler that settings ask for, with its timesteps set, and the timesteps that the UNet is told, (N,).

    config: that of the model's own scheduler. The two kinds of timesteps differ where the settings say which part of
    the noise schedule is visited: the scheduler then knows no more than this part, as a schedule of its own.
    InputError where the model or the scheduler cannot do what is asked for.
    """
    scheduler = make_scheduler(settings.scheduler, config)
    if settings.respacing or settings.timesteps or settings.sigmas:
        return _respaced(settings, scheduler, device)
    if settings.timestep_spacing:
        _check_option("timestep_spacing", settings, possible="timestep_spacing" in scheduler.config)
        scheduler = type(scheduler).from_config(scheduler.config, timestep_spacing=settings.timestep_spacing)
    scheduler.set_timesteps(settings.steps, device=device)
    return scheduler, scheduler.timesteps


def _respaced(settings: Settings, original: SchedulerMixin, device: str) -> tuple[SchedulerMixin, torch.Tensor]:
    """A scheduler over the visited noise levels alone (Nichol & Dhariwal 2021, "Improved DDPM", section 4).

    Its betas are those that lead from one visited level to the next, so that every kind of scheduler can do it.
    """
    name = next(name for name in ("respacing", "timesteps", "sigmas") if getattr(settings, name))
    own = original.config.get("use_karras_sigmas") or isinstance(original, (LCMScheduler, TCDScheduler))
    _check_option(name, settings, possible=not own)
    kept, visits = _visits(settings, np.asarray(original.alphas_cumprod, np.float64))
    betas = 1 - kept / np.concatenate([[1.0], kept[:-1]])
    scheduler = type(original).from_config(
        original.config, trained_betas=betas.tolist(), num_train_timesteps=len(visits), timestep_spacing="trailing",
        steps_offset=0, set_alpha_to_one=True, rescale_betas_zero_snr=False,
    )  # fmt: skip
    if "timesteps" in inspect.signature(scheduler.set_timesteps).parameters:
        scheduler.set_timesteps(timesteps=list(range(len(visits)))[::-1], device=device)
    else:
        scheduler.set_timesteps(len(visits), device=device)
    told = np.interp(scheduler.timesteps.cpu().numpy(), np.arange(len(visits)), visits)
    return scheduler, torch.from_numpy(told).float().to(device)


def _visits(settings: Settings, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of the picture's variance that is kept at each visited timestep, and the timestep, both rising.

    kept: the same share at all timesteps (alphas_cumprod). Of noise levels that lie between two timesteps, the timestep
    is interpolated in their logarithm, as Karras et al. 2022 do.
    """
    if settings.sigmas:
        sigmas = np.array([float(sigma) for sigma in settings.sigmas.split(",")])[::-1]
        levels = np.log((1 - kept) / kept.clip(1e-12)) / 2
        return 1 / (1 + sigmas**2), np.interp(np.log(sigmas), levels, np.arange(len(kept)))
    if settings.respacing:
        visits = np.array(visited(settings.respacing, len(kept)))[::-1]
    else:
        visits = np.array([int(step) for step in settings.timesteps.split(",")])[::-1]
    if visits[-1] >= len(kept):
        raise InputError("timesteps", settings.timesteps, f"begin below {len(kept)}: the model knows no more")
    return kept[visits], visits


def _check_option(name: str, settings: Settings, *, possible: bool) -> None:
    if not possible:
        remedy = f"leave it out, or use another scheduler: {settings.scheduler} chooses for itself"
        raise InputError(name, getattr(settings, name), remedy)
