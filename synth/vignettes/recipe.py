"""The recipe of the bundled models: sizes, steps, rates. What ships was made with exactly this."""

from dataclasses import dataclass

from synth.train.recipe import Recipe

TRAINING_PICTURES = 32_000
HELD_OUT_PICTURES = 1_000
UPSCALER_SHARE, UPSCALER_HELD_OUT_SHARE = 0.0375, 0.048  # of them, at 128 and 256 px; a quarter of these at 512 px too
CAPTIONS_FOR_TOKENIZERS = 40_000


@dataclass(frozen=True)
class Shapes:
    """The sizes of the networks; together they must stay under 48 MB in half precision."""

    vae_features: int = 64
    latent_channels: int = 8
    latent_size: int = 16
    unet_widths: tuple[int, ...] = (96, 160, 192)
    gpt2_width: int = 160
    upscaler_width: int = 48
    upscaler_depths: tuple[int, ...] = (2, 2, 2)
    upscaler_heads: int = 1


SHAPES = Shapes()

RECIPES = {
    "vae": Recipe(
        steps=14_000,
        prolonged=(6_500,),
        batch_size=16,
        learning_rate=1e-3,
        weight_decay=1e-4,
        decay=0.6,
        validate_every=500,
    ),
    "judge": Recipe(steps=1_500, batch_size=64, learning_rate=2e-3, decay=0.8, ema=0.99, validate_every=300),
    "clip": Recipe(
        steps=600, batch_size=192, learning_rate=1e-3, decay=0.7, ema=0.99, betas=(0.9, 0.98), validate_every=150
    ),
    "unet": Recipe(
        steps=10_000,
        prolonged=(4_000,),
        batch_size=64,
        learning_rate=5e-4,
        decay=0.3,
        ema=0.9995,
        warmup=200,
        validate_every=500,
    ),
    "gpt2": Recipe(
        steps=3_000, batch_size=64, learning_rate=2e-3, decay=0.7, ema=0.995, betas=(0.9, 0.95), validate_every=500
    ),
    "upscaler": Recipe(
        steps=20_000,
        prolonged=(3_500, 9_000),
        batch_size=8,
        learning_rate=1e-3,
        weight_decay=1e-4,
        decay=0.8,
        ema=0.99,
        validate_every=1_750,
        checkpoint_every=250,
    ),
}
