"""Samplers by the names people know them by."""

from typing import Any

import diffusers
from diffusers import SchedulerMixin

from synth.jobs import SCHEDULERS, check_choice

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
