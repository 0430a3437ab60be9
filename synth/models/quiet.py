"""diffusers and transformers without their progress bars and warnings."""

from collections.abc import Iterator
from contextlib import contextmanager

from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging


@contextmanager
def quiet() -> Iterator[None]:
    """Silence both libraries inside the block, and put everything back as it was."""
    loggers = (diffusers_logging, transformers_logging)
    before = [(logger, logger.get_verbosity(), logger.is_progress_bar_enabled()) for logger in loggers]
    for logger in loggers:
        logger.set_verbosity_error()
        logger.disable_progress_bar()
    try:
        yield
    finally:
        for logger, level, bars in before:
            logger.set_verbosity(level)
            if bars:
                logger.enable_progress_bar()
