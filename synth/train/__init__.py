"""Training: one loop, one checkpoint format, and a task per model (tokenizers, CLIP, VAE, UNet, GPT-2)."""
