"""The weights of timesteps are those of the paper, and the step at which sampling starts is learned too."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from synth.train.unet import UnetTask, make_scheduler, make_unet

GAMMA = 5.0


def weights(scheduler: DDIMScheduler, gamma: float = GAMMA) -> np.ndarray:
    """What the task weighs each timestep with."""
    nothing = np.zeros(0, dtype=np.int64)
    unet = make_unet(latent_channels=4, text_width=32, sample_size=8, widths=(32, 32, 32))
    task = UnetTask(
        {"unet": unet}, None, torch.zeros(0), lambda index, rng: "", nothing, nothing, scheduler, snr_gamma=gamma
    )
    return task._weights(torch.arange(1000)).numpy() * np.ones(1000)


@pytest.mark.parametrize(("prediction", "terminal_zero"), [("v_prediction", 1), ("v_prediction", 0), ("epsilon", 0)])
def test_min_snr_is_the_papers(prediction, terminal_zero):
    """Hang et al. 2023, section 3.4: of the error of x0 min(SNR, gamma); of noise by SNR less, of v by SNR + 1."""
    scheduler = DDIMScheduler.from_config(
        make_scheduler().config, prediction_type=prediction, rescale_betas_zero_snr=bool(terminal_zero)
    )
    kept = scheduler.alphas_cumprod.double().numpy()[: 1000 - terminal_zero]
    snr = kept / (1 - kept)
    wanted = np.minimum(snr, GAMMA) / (snr + 1 if prediction == "v_prediction" else snr)
    found = weights(scheduler)
    np.testing.assert_allclose(found[: len(kept)], wanted, rtol=1e-4)
    assert found[-1] > 0 and (not terminal_zero or found[-1] == 1)


def test_without_it_all_timesteps_weigh_the_same():
    assert set(weights(make_scheduler(), gamma=0.0)) == {1.0}
