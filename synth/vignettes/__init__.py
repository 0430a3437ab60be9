"""The picture world that Synth brings along: illustrated scenes, every fact known, and models that learned it."""
