"""The parts of expansion: GPT-2 itself, sampling, scaffolds, templates, token counts, the choice among candidates."""
