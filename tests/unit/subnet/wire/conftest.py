"""Shared by the tests of the wire."""

from __future__ import annotations

import logging

import pytest

from subnet.wire.http.log_limit import LOGGERS, LogLimit


@pytest.fixture(autouse=True)
def _unlimited_logs() -> None:
    """What earlier tests logged uses up no other test's lines."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        for known in [each for each in logger.filters if isinstance(each, LogLimit)]:
            logger.removeFilter(known)
