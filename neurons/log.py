"""Logging of the programs: colour for people on a terminal, JSON lines for machines, always on standard error.

A log that cannot be written (a closed terminal, a full disk) is lost, and the program goes on.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TextIO

import structlog

from neurons.settings import LoggingSettings

Log = structlog.typing.FilteringBoundLogger


class Expendable:
    """A text stream whose failures cost only what was to be written to it. None where a program has no such stream."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
                self._stream.write(text)

    def flush(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                self._stream.flush()


class _OneLine(logging.Filter):
    """What a background task of a library left behind, in one line: its traceback is nobody's to mend here."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            first, error = record.getMessage().partition("\n")[0], record.exc_info[1]
            record.msg, record.args, record.exc_info = f"{first}: {type(error).__name__} {error}".rstrip(), (), None
        return True


def configure(settings: LoggingSettings, program: str) -> Log:
    """Set up logging once, at the start of a program, and return its logger."""
    level = (
        logging.DEBUG if settings.debug or settings.trace else logging.getLevelNamesMapping()[settings.level.upper()]
    )
    people = bool(sys.stderr and sys.stderr.isatty())
    stream = Expendable(sys.stderr)
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)  # no locals: seeds are secret
        if people
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso" if not people else "%H:%M:%S", utc=not people),
            structlog.processors.StackInfoRenderer(),
            *([] if people else [structlog.processors.format_exc_info]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=stream)
    if level > logging.DEBUG:
        logging.getLogger("asyncio").addFilter(_OneLine())
    logging.raiseExceptions = False  # a handler that cannot write says nothing, rather than a traceback a line
    log: Log = structlog.get_logger(program=program)
    return log
