"""Logging of the programs: colour for people on a terminal, JSON lines for machines, always on standard error."""

from __future__ import annotations

import logging
import sys

import structlog

from neurons.settings import LoggingSettings

Log = structlog.typing.FilteringBoundLogger


def configure(settings: LoggingSettings, program: str) -> Log:
    """Set up logging once, at the start of a program, and return its logger."""
    level = (
        logging.DEBUG if settings.debug or settings.trace else logging.getLevelNamesMapping()[settings.level.upper()]
    )
    people = sys.stderr.isatty()
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr)
    log: Log = structlog.get_logger(program=program)
    return log
