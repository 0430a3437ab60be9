"""The parts of rendering: embeddings, schedulers, the denoising loop."""
