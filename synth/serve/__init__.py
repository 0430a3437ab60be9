"""Synth over HTTP: requests of many clients become studies, rendered in batches that they share."""
