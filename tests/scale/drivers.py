"""Runs a study with a crew, in a process that can be killed: python drivers.py ENGINE ADDRESS MODEL OUT PICTURES."""

import sys

from synth.jobs import Settings
from synth.scale.crews import crew, engine
from synth.studies import study

SETTINGS = Settings(steps=30, width=64, height=64)


def run(name, address, model, out, pictures):
    """Render some pictures of one prompt, two at once, with two workers."""
    workers = crew(name, workers=2, device="cpu", address=None if address == "-" else address)
    return study(
        prompts=["a red house"], seeds=int(pictures), settings=SETTINGS, model=model, out=out, name="study",
        batch_size=2, device="cpu", progress=False, yes=True, engine=engine(workers),
    )  # fmt: skip


if __name__ == "__main__":
    run(*sys.argv[1:])
