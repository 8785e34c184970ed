"""The bound on log lines: few of each kind, none forgotten."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from subnet.wire.http.log_limit import LogLimit


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def kept(now: list[float]) -> Iterator[tuple[logging.Logger, Kept]]:
    logger, handler = logging.getLogger("test.log_limit"), Kept()
    limit = LogLimit(most=3, seconds=60, clock=lambda: now[0])
    logger.addHandler(handler)
    logger.addFilter(limit)
    yield logger, handler
    logger.removeHandler(handler)
    logger.removeFilter(limit)


def test_a_flood_is_few_lines_and_a_count(kept: tuple[logging.Logger, Kept], now: list[float]) -> None:
    """Of ten thousand of a kind three are written; the next minute's first says how many were not."""
    logger, handler = kept
    for number in range(10_000):
        logger.warning("refused: %d", number)
    assert handler.lines == ["refused: 0", "refused: 1", "refused: 2"]
    now[0] = 61
    logger.warning("refused: %d", 7)
    assert handler.lines[3:] == ["refused: 7 (9997 more of these were not written)"]


def test_one_kind_hides_no_other(kept: tuple[logging.Logger, Kept]) -> None:
    """A flood of one kind, or one level, leaves the others readable."""
    logger, handler = kept
    for _ in range(100):
        logger.warning("one")
    logger.warning("another")
    logger.error("one")
    assert handler.lines[3:] == ["another", "one"]


def test_messages_that_are_never_the_same(kept: tuple[logging.Logger, Kept]) -> None:
    """A message made anew each time passes as long as kinds are few; then all of them count as one."""
    logger, handler = kept
    for number in range(5000):
        logger.warning(f"made of {number}")
    assert len(handler.lines) < 300
