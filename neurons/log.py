"""Logging of the programs: colour for people on a terminal, JSON lines for machines, always on standard error.

With --logging.file JSON lines go to a file as well, which is rotated; secrets in either are masked.

A log that cannot be written (a closed terminal, a full disk) is lost, and the program goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import time
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

import structlog

from neurons.settings import LoggingSettings
from subnet.errors import SettingsError, StateError
from subnet.files import private_file
from subnet.printing import without_credentials

SECRET = re.compile(r"(^|_)(seed|mnemonic|password|passwd|token|secret|private_key|api_key)s?$", re.IGNORECASE)
LEAST_SECRET = 8  # characters of an environment's secret that is looked for in texts
SDK = "bittensor"  # the package whose background tasks fail with the chain
MOST_REASONS = 64  # of one event that are remembered
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
    """What a background task of a library left behind, in one line: its traceback is nobody's to mend here.

    What the SDK's own connection ends with is told by whoever asks the chain: a warning, no error of the program.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            first, error = record.getMessage().partition("\n")[0], record.exc_info[1]
            record.msg, record.args, record.exc_info = f"{first}: {type(error).__name__} {error}".rstrip(), (), None
            if _of_the_sdk(error):
                record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def _of_the_sdk(error: BaseException) -> bool:
    """Whether it is one of the SDK's errors, or went out of a task of the SDK."""
    began = error.__traceback__.tb_frame.f_globals.get("__name__", "") if error.__traceback__ else ""
    return SDK in (type(error).__module__.partition(".")[0], str(began).partition(".")[0])


class _Pipe(logging.Handler):
    """What libraries log goes the way of our own events: the same form, the same file, nothing secret."""

    def emit(self, record: logging.LogRecord) -> None:
        facts = {"exc_info": record.exc_info} if record.exc_info else {}
        structlog.get_logger(program=self.name).log(record.levelno, record.getMessage(), logger=record.name, **facts)


class _PrivateFile(RotatingFileHandler):
    """Every file that rotation begins is for its owner alone, as the first one is."""

    def _open(self) -> TextIOWrapper:
        private_file(Path(self.baseFilename))
        return super()._open()


class _Copy:
    """Writes every event as a line of JSON to the file of the settings, which is rotated by size."""

    def __init__(self, settings: LoggingSettings) -> None:
        """Raises SettingsError for a file that cannot be written."""
        path = (settings.file or Path()).expanduser()
        size = max(1, int(settings.megabytes * 2**20))
        try:
            self._file = _PrivateFile(path, maxBytes=size, backupCount=settings.keep, encoding="utf-8")
        except (OSError, StateError) as error:
            raise SettingsError(f"--logging.file {path}: {error}") from error

    def __call__(self, logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = structlog.processors.JSONRenderer(sort_keys=True)(None, method, {**event, "timestamp": moment})
        self._file.handle(logging.makeLogRecord({"msg": str(text)}))
        return event


class Notes:
    """What stands in the way of a program: told once for each new reason, and once when it is gone."""

    def __init__(self, log: Log) -> None:
        self._log, self._reasons = log, dict[str, set[str]]()

    def tell(self, event: str, reason: str, level: int = logging.WARNING, /, **facts: object) -> None:
        """Log `event` with `facts`, unless it was told for this `reason` since it was last mended."""
        reasons = self._reasons.setdefault(event, set())
        if reason in reasons:
            return
        if len(reasons) >= MOST_REASONS:
            reasons.clear()
        reasons.add(reason)
        self._log.log(level, event, **facts)

    def mend(self, event: str) -> None:
        """`event` stands no more: told where it was, and its next reason is a new one."""
        if self._reasons.pop(event, None):
            self._log.info(event, why="mended")


def _mask(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Nothing of an event that is named like a secret, and no token of the environment, is written down."""
    tokens = [value for name, value in os.environ.items() if SECRET.search(name) and len(value) >= LEAST_SECRET]
    return {name: "***" if SECRET.search(name) else _without(value, tokens) for name, value in event.items()}


def _without(value: object, tokens: list[str]) -> object:
    for token in tokens:
        if isinstance(value, str) and token in value:
            value = value.replace(token, "***")
    return without_credentials(value) if isinstance(value, str) else value


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
            structlog.contextvars.merge_contextvars,  # of a request: its id
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,  # before the mask: a traceback may have a secret in it
            _mask,
            *([_Copy(settings)] if settings.file else []),
            structlog.processors.TimeStamper(fmt="iso" if not people else "%H:%M:%S", utc=not people),
            structlog.processors.StackInfoRenderer(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    pipe = _Pipe()
    pipe.name = program
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[pipe])
    logging.captureWarnings(True)
    if level > logging.DEBUG:
        logging.getLogger("asyncio").addFilter(_OneLine())
    logging.raiseExceptions = False  # a handler that cannot write says nothing, rather than a traceback a line
    log: Log = structlog.get_logger(program=program)
    return log
