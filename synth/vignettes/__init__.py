"""The picture world that Synth brings along: illustrated scenes whose every fact is known, and models that learned it."""
