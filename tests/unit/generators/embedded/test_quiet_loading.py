"""What is said while the embedded diffusion model loads: nothing that does not matter, all that does."""

from __future__ import annotations

import logging

import diffusers.utils.logging
import pytest

import generators
from generators.embedded.quiet_loading import HARMLESS, hushed


def test_the_embedded_model_loads_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither progress bars nor remarks about the small decoder are printed."""
    generators.load_generator("diffusion")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_other_warnings_are_told_and_all_is_as_before_after(caplog: pytest.LogCaptureFixture) -> None:
    """Only the harmless messages are dropped, only within, and progress bars come back."""
    logger = logging.getLogger("diffusers.pipelines.pipeline_utils")
    logger.addHandler(caplog.handler)  # diffusers keeps its messages from the root
    try:
        with hushed():
            logger.warning("%s: (AutoencoderKL,)", HARMLESS[0])
            logger.warning("the weights are half as many as they should be")
            assert not diffusers.utils.logging.is_progress_bar_enabled()
        logger.warning("%s: (AutoencoderKL,)", HARMLESS[0])
    finally:
        logger.removeHandler(caplog.handler)
    texts = list(dict.fromkeys(record.getMessage() for record in caplog.records))
    assert texts == ["the weights are half as many as they should be", f"{HARMLESS[0]}: (AutoencoderKL,)"]
    assert diffusers.utils.logging.is_progress_bar_enabled()
