"""Phrases with alternatives: `a {red|blue} house`, `a __colour__ house`, resolved with the dynamicprompts library.

It was judged fit for use: it loads in milliseconds, needs no network, and takes a random generator of our own. What it
does silently (dropping comments, leaving unknown wildcards and unmatched braces in the text) is refused here.
"""

import logging
import random
import re
import warnings
from pathlib import Path

from synth.errors import InputError
from synth.jobs import check_text, content_key
from synth.vignettes import attributes

WILDCARD_FOLDER = Path("wildcards")
_LEFT_OVER = re.compile(r"[{}]|__[^\s_]+__")
_HELP = "write alternatives as {red|blue}, or leave out the template option to keep braces as text"


class Template:
    """A parsed template; `resolve` gives one of its phrases.

    Wildcards are `__subject__`, `__colour__`, `__place__`, `__time__`, `__weather__` and `__style__`, the values of the
    bundled picture world, and every file of a folder `wildcards` in the working directory (one value on each line).
    Raises InputError if it cannot be parsed.
    """

    def __init__(self, text: str) -> None:
        from dynamicprompts.parser.parse import parse
        from dynamicprompts.wildcards import WildcardManager

        if "#" in text or "//" in text or "/*" in text:
            raise InputError("phrase", text, "leave out #, // and /*, which begin a comment in a template")
        self.text = text
        roots = [{name: list(values) for name, values in attributes.ATTRIBUTES.items()}]
        self._wildcards = WildcardManager(root_map={"": roots + [WILDCARD_FOLDER] * WILDCARD_FOLDER.is_dir()})
        self._command = self._guarded(lambda: parse(text))

    def resolve(self, seed: int, k: int) -> str:
        """The phrase of candidate `k`: it depends on the template, the wildcards' values, the seed and k alone."""
        from dynamicprompts.enums import SamplingMethod
        from dynamicprompts.sampling_context import SamplingContext

        context = SamplingContext(
            default_sampling_method=SamplingMethod.RANDOM,
            wildcard_manager=self._wildcards,
            rand=random.Random(content_key(["template", self.text, seed, k])),
        )
        phrase = self._guarded(lambda: str(next(iter(context.sample_prompts(self._command, 1)), "")))
        if left := _LEFT_OVER.search(phrase):
            raise InputError("phrase", self.text, f"{left[0]!r} is unmatched or unknown: {_HELP}")
        return check_text("phrase", re.sub(r"\s+", " ", phrase)).strip()

    def _guarded(self, action):
        """`action()`; what the library raises on a malformed template becomes an InputError, its chatter is dropped."""
        logging.getLogger("dynamicprompts").setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return action()
            except Exception as error:  # it raises ParseException, KeyError, RecursionError, ValueError and others
                raise InputError("phrase", self.text, f"it is not a template: {_HELP}") from error
