"""Chat with Synth: type a phrase, get a grid of pictures.

    synth serve                                   (in another terminal)
    python docs/chat.py                           (or: python docs/chat.py "a red lighthouse at sunset")

SYNTH_URL and SYNTH_KEY name another server and a key of it.
"""

import io
import os
import sys
from contextlib import suppress
from pathlib import Path

from PIL import Image

from synth.errors import SynthError
from synth.serve.client import Client

PROMPTS, SEEDS = 2, 3


def grid(synth: Client, study: str) -> Image.Image:
    """The pictures of a study, a row for each prompt."""
    finished = [picture for picture in synth.drawn(study).pictures if picture.status == "done"]
    if not finished:
        raise SynthError("no picture was finished")
    pictures = [Image.open(io.BytesIO(synth.picture(study, picture.key))) for picture in finished]
    width, height = (max(sizes) for sizes in zip(*(picture.size for picture in pictures), strict=True))
    sheet = Image.new("RGB", (SEEDS * width, PROMPTS * height), "white")
    for picture, found in zip(pictures, finished, strict=True):
        sheet.paste(picture, (found.place["seed"] * width, found.place["prompt_index"] * height))
    return sheet


def answer(synth: Client, phrase: str) -> None:
    """Ask for the pictures of a phrase, tell how it goes, and save the grid."""
    study = synth.study(phrase, n=PROMPTS, seeds=SEEDS).id
    for event in synth.events(study):
        if event.kind == "prompts":
            print("\n".join(f"  {prompt['text']}" for prompt in event.data))
        elif event.kind == "state":
            print(f"  {event.data['state']}, {event.data['left']} pictures to come {event.data['reason']}")
    path = Path(f"{study}.png")
    grid(synth, study).save(path)
    print(f"  Look at {path.resolve()}")


def main() -> None:
    url, key = os.environ.get("SYNTH_URL", "http://127.0.0.1:8000"), os.environ.get("SYNTH_KEY")
    with suppress(EOFError), Client(url, key, patience=60) as synth:
        for phrase in sys.argv[1:] or iter(lambda: input("phrase> "), ""):
            try:
                answer(synth, phrase)
            except SynthError as error:
                print(f"  {error}")


if __name__ == "__main__":
    main()
