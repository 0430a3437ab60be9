"""Captioned pictures: read in the layouts people have them in, cleaned, and laid out for training."""
