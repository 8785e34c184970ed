"""Loading the embedded diffusion model without the remarks that are known to be harmless; all others are still made."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

# The small decoder of the package takes the place of a large one, and diffusers wrote a key that it does not read.
HARMLESS = ("Expected types for vae", "were passed to AutoencoderTiny, but are not expected")
_LOGGERS = ("diffusers.pipelines.pipeline_utils", "diffusers.configuration_utils")


def _matters(record: logging.LogRecord) -> bool:
    return not any(text in record.getMessage() for text in HARMLESS)


@contextmanager
def hushed() -> Iterator[None]:
    """Within, diffusers and transformers draw no progress bars and drop the `HARMLESS` messages."""
    import diffusers.utils.logging
    import transformers.utils.logging

    with ExitStack() as after:
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            logger.addFilter(_matters)
            after.callback(logger.removeFilter, _matters)
        for library in (diffusers.utils.logging, transformers.utils.logging):
            if library.is_progress_bar_enabled():
                library.disable_progress_bar()
                after.callback(library.enable_progress_bar)
        yield
