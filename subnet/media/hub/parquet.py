"""Rows of strangers' parquet files, read in a child process that may die of them: `ParquetShard` is our side.

A child outlives a shard and serves the next, since starting one takes a good part of a second. It is killed when an
answer takes longer than DEADLINE seconds of its own.
"""

from __future__ import annotations

import atexit
import io
import json
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from subnet.codec import sandbox_child as wire
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable, SubnetError
from subnet.media.hub import parquet_child as child

DEADLINE = 60.0  # seconds for one answer, without the time that its bytes take to come
MOST_IDLE = 2
_idle: list[_Reader] = []
_lock = threading.Lock()


class ParquetShard:
    """Items of one parquet file, by row; `groups` are its row groups."""

    def __init__(self, file: IO[bytes], path: str, column: str = "") -> None:
        """Raises MediaUnreadable for what is no parquet file, or where it is not clear which column is meant."""
        self._file, self._path = file, path
        size = file.seek(0, io.SEEK_END)
        self._reader = _take()
        about = json.dumps({"size": size, "column": column}).encode()
        with ExitStack() as on_failure:
            on_failure.callback(_give_back, self._reader)
            try:
                groups = json.loads(self._ask(child.OPEN, about))
            except MediaError as error:
                raise type(error)(f"the shard {path} cannot be opened: {error}") from error
            on_failure.pop_all()
        self.groups = tuple(range(a, b) for a, b in groups)

    def read(self, index: int) -> tuple[str, bytes]:
        return f"row {index}", self._ask(child.ROW, child.INDEX.pack(index))

    def about(self, rows: range, names: Sequence[str]) -> list[dict[str, Any]]:
        """The values of the columns `names`, as far as they are there, in each row of a group.

        Raises MediaUnreadable.
        """
        asked = json.dumps({"row": rows.start, "names": list(names)}).encode()
        values: list[dict[str, Any]] = json.loads(self._ask(child.ABOUT, asked))
        if len(values) != len(rows):
            raise MediaUnreadable(f"{self._path}: {len(values)} values for {len(rows)} rows")
        return values

    @property
    def alive(self) -> bool:
        """Whether more can be read; damage may end the reader."""
        return self._reader.alive

    def _ask(self, kind: bytes, payload: bytes) -> bytes:
        try:
            return self._reader.ask(kind, payload, self._file)
        except _Ended as error:
            raise MediaUnreadable(f"{self._path} {error}") from error

    def close(self) -> None:
        _give_back(self._reader)
        self._file.close()


class _Ended(Exception):
    """The child died, or was killed."""


class _Reader:
    """One child process. Used by one shard at a time."""

    def __init__(self) -> None:
        package = Path(child.__file__).parents[3]
        self._process = subprocess.Popen(
            [sys.executable, "-m", child.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
            | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        try:
            self._receive(0)
        except _Ended as error:
            raise SubnetError(f"no reader of parquet files could be started: it {error}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, kind: bytes, payload: bytes, file: IO[bytes]) -> bytes:
        """Send one message and give the answer's payload; what the child wants of `file` is read for it meanwhile.

        Raises MediaUnreadable and MediaTooLarge as it says, _Ended when it died, and what reading `file` raises.
        """
        whole = False
        try:
            self._send(kind, payload)
            while True:
                answer, data = self._receive(child.MAX_GROUP)
                if answer != child.READ:
                    break
                offset, length = child.SPAN.unpack(data)
                file.seek(offset)
                self._send(child.DATA, file.read(min(length, child.MAX_GROUP)))
            whole = True
        except struct.error as error:
            raise _Ended("ended its reader with a message that nobody knows") from error
        finally:
            if not whole:
                self.kill()
        if answer in (wire.TOO_LARGE, wire.UNREADABLE):
            raise (MediaTooLarge if answer == wire.TOO_LARGE else MediaUnreadable)(data.decode("utf-8", "replace"))
        return data

    def _send(self, kind: bytes, payload: bytes) -> None:
        try:
            wire.send(self._input, kind, payload)
        except (OSError, ValueError) as error:
            raise _Ended(f"ended its reader ({self._status()})") from error

    def _receive(self, limit: int) -> tuple[bytes, bytes]:
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(DEADLINE, end)
        timer.daemon = True
        timer.start()
        try:
            return wire.receive(self._output, limit)
        except (EOFError, OSError, ValueError) as error:
            why = f"took its reader over {DEADLINE:g} s" if late.is_set() else f"ended its reader ({self._status()})"
            raise _Ended(why) from error
        finally:
            timer.cancel()

    def _status(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        code = self._process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._output):
            with suppress(OSError, ValueError):
                pipe.close()


def _take() -> _Reader:
    with _lock:
        while _idle:
            reader = _idle.pop()
            if reader.alive:
                return reader
            reader.kill()
    atexit.unregister(end_readers)
    atexit.register(end_readers)
    return _Reader()


def _give_back(reader: _Reader) -> None:
    with _lock:
        if reader.alive and len(_idle) < MOST_IDLE:
            _idle.append(reader)
            return
    reader.kill()


def end_readers() -> None:
    """End the children that wait for another shard."""
    with _lock:
        while _idle:
            _idle.pop().kill()
