"""Video from strangers, decoded in child processes that may be killed: `VideoDecoder` is the parent's side.

A child (`subnet.codec.sandbox_child`) has a small address space and CPU allowance of its own, can open no file or
socket once it runs, inherits no environment, and is killed when a clip takes too long. It decodes by
`subnet.codec.video`.
"""

from __future__ import annotations

import asyncio
import queue
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np

from subnet.codec import sandbox_child
from subnet.codec.video import Clip, Limits
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable, SubnetError
from subnet.types import Media

DEFAULT_LIMITS = Limits()
_START_SECONDS = 30.0
_EXIT_SECONDS = 0.5  # for a dying child to leave its own exit status
_DECODES_PER_CHILD = 500  # then a fresh one, so that leaks do not add up


class VideoDecoder:
    """Decodes untrusted MP4 in `children` killable processes, started on first use. Safe to share between threads.

    `timeout` seconds are for one decode, not for waiting for a free child. `memory` is a child's address space in
    bytes. A context manager; `close()` kills the children and makes decodes that still run raise.
    """

    def __init__(
        self, limits: Limits = DEFAULT_LIMITS, *, timeout: float = 5.0, children: int = 1, memory: int = 2**30
    ) -> None:
        if not (timeout > 0 and children > 0):
            raise ValueError(f"timeout and children must be above 0, not {timeout} and {children}")
        self._limits, self._timeout, self._memory = limits, timeout, memory
        self._seats: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(children):
            self._seats.put(None)
        self._lock = threading.Lock()
        self._alive: set[_Child] = set()
        self._closed = False

    def decode(self, data: bytes) -> Media:
        """Frames as `video.decode_video` gives them. Raises as `read` does."""
        return self.read(data).media

    def read(self, data: bytes) -> Clip:
        """A clip as `video.read_clip` gives it.

        Raises MediaTooLarge or MediaUnreadable, also when the clip crashed its child or took too long;
        SubnetError when closed or when no child can be started.
        """
        if len(data) > self._limits.bytes:
            raise MediaTooLarge(f"{len(data)} bytes are more than the {self._limits.bytes} that a video may have")
        child = self._seats.get()
        try:
            if child is None or not child.usable:
                child = self._replaced(child)
            return child.decode(data, self._timeout)
        finally:
            self._seats.put(child)

    async def decode_async(self, data: bytes) -> Media:
        """`decode` in a thread of its own, so that an event loop goes on meanwhile."""
        return await asyncio.to_thread(self.decode, data)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the children that were started and not replaced since, for whoever watches processes."""
        with self._lock:
            return tuple(sorted(child.pid for child in self._alive))

    def _replaced(self, old: _Child | None) -> _Child:
        with self._lock:
            if old is not None:
                old.kill()
                self._alive.discard(old)
            if self._closed:
                raise SubnetError("this video decoder is closed")
            child = _Child(self._limits, self._memory)
            self._alive.add(child)
        child.wait_until_ready()
        return child

    def close(self) -> None:
        """Kill and reap all children. Calling it again does nothing."""
        with self._lock:
            self._closed = True
            for child in self._alive:
                child.kill()
            self._alive.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Child:
    """One process and what is known of it. Used by one thread at a time, killed from any."""

    def __init__(self, limits: Limits, memory: int) -> None:
        self._limits = limits
        self._decodes = 0
        self._broken = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", sandbox_child.__name__, str(memory), sandbox_child.limits_to(limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,  # a Ctrl-C at the terminal is for the parent to handle
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def usable(self) -> bool:
        return not self._broken and self._decodes < _DECODES_PER_CHILD and self._process.poll() is None

    def wait_until_ready(self) -> None:
        kind = b""
        with _Watchdog(self._process, _START_SECONDS) as watchdog, suppress(EOFError, OSError):
            kind, _ = sandbox_child.receive(self._output, limit=0)
        if kind != sandbox_child.READY or watchdog.bit:
            self.kill()
            raise SubnetError(f"no video decoder could be started: exit status {self._process.returncode}")

    def decode(self, data: bytes, timeout: float) -> Clip:
        self._decodes += 1
        finished = False
        watchdog = _Watchdog(self._process, timeout)
        try:
            with watchdog:
                sandbox_child.send(self._input, sandbox_child.CLIP, data)
                clip = self._answer()
            finished = True
            return clip
        except MediaError:
            finished = True
            raise
        except (EOFError, OSError, ValueError, struct.error) as error:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_SECONDS)
            self.kill()
            why = f"took longer than {timeout:g} s" if watchdog.bit else f"ended the decoder ({self._status()})"
            raise MediaUnreadable(f"decoding the video {why}") from error
        finally:
            self._broken = watchdog.bit or not finished

    def _answer(self) -> Clip:
        pixels, tags, cap = bytearray(), b"", 3 * max(self._limits.pixels, self._limits.frame_pixels)
        while True:
            kind, payload = sandbox_child.receive(self._output, limit=max(cap, 2**16))
            if kind == sandbox_child.FRAME and len(pixels) + len(payload) <= cap:
                pixels += payload
            elif kind == sandbox_child.TAGS and len(payload) <= 2**16:
                tags = payload
            elif kind == sandbox_child.DONE:
                count, height, width, fps, duration = sandbox_child.DONE_PAYLOAD.unpack_from(payload)
                frames = np.frombuffer(pixels, np.uint8).reshape(count, height, width, 3)
                times = tuple(np.frombuffer(payload, np.float64, offset=sandbox_child.DONE_PAYLOAD.size).tolist())
                length = max(duration, times[-1] + 1 / fps)
                return Clip(Media(frames, fps), times, length, sandbox_child.tags_from(tags))
            elif kind in (sandbox_child.UNREADABLE, sandbox_child.TOO_LARGE):
                raise (MediaTooLarge if kind == sandbox_child.TOO_LARGE else MediaUnreadable)(
                    payload.decode("utf-8", "replace")
                )
            else:
                raise EOFError(f"the decoder sent an unexpected message {kind!r}")

    def kill(self) -> None:
        self._broken = True
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._output):
            with suppress(OSError, ValueError):
                pipe.close()

    def _status(self) -> str:
        code = self._process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout


class _Watchdog:
    """Kills a process unless left within some seconds: every read and write on its pipes then ends. `bit` says so."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.bit = False
        self._process = process
        self._timer = threading.Timer(seconds, self._bite)
        self._timer.daemon = True

    def _bite(self) -> None:
        self.bit = True
        self._process.kill()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()


def _environment() -> dict[str, str]:
    """Where this package is, and nothing that a secret could be in. One thread: each would cost address space."""
    package = Path(sandbox_child.__file__).parents[2]
    return {
        "PYTHONPATH": str(package),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "LC_ALL": "C.UTF-8",
    }
