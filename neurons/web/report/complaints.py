"""What people say was judged wrongly: a line each in a file of this machine, only of those who agreed to it.

A line has the file's sha256 and what was said of it, never the file, its name, or who sent it. What was said is sealed
while it stands on a page, so that nobody makes up lines about files that were never judged here.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import os
import secrets
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from subnet.errors import StateError
from subnet.files import private_file, private_folder
from subnet.printing import printable

FILE: Final = "wrong.jsonl"
MOST: Final = 2**20  # bytes of the file: some thousands of lines
LONGEST: Final = 500  # characters of a comment


class Full(StateError):
    """There is no room for another line."""


class Complaints:
    """The file below `folder`. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._secret, self._lock = secrets.token_bytes(32), threading.Lock()

    def seal(self, said: str) -> str:
        """What comes back with `said`, and only with that, to show that it was said here since the program started."""
        return hmac.new(self._secret, said.encode(), hashlib.sha256).hexdigest()

    def sound(self, said: str, seal: str) -> bool:
        """Whether `seal` belongs to `said`."""
        return hmac.compare_digest(self.seal(said).encode(), seal.encode("utf-8", "replace"))

    def keep(self, said: str, comment: str, now: float) -> bool:
        """Append a line about what was `said`, the JSON of an object, at `now` in seconds since 1970.

        Of one file there is one line for the same weights, whoever says so, so that it leaves room to others: False
        where that is there. Raises Full, and StateError where the file cannot be written, which is then as before.
        """
        told: dict[str, Any] = json.loads(said)
        line = json.dumps({"time": int(now), **told, "comment": printable(comment.strip())}).encode() + b"\n"
        marks = [json.dumps({name: told[name]})[1:-1].encode() for name in ("sha256", "weights_hash")]
        try:
            with self._lock:
                private_folder(self.path.parent)
                before = private_file(self.path).read_bytes()
                if any(all(mark in each for mark in marks) for each in before.splitlines()):
                    return False
                if before and not before.endswith(b"\n"):  # a line that was cut
                    line = b"\n" + line
                if len(before) + len(line) > MOST:
                    raise Full(f"{self.path} has {MOST} bytes: move it away")
                _append(self.path, line, len(before))
        except OSError as error:
            raise StateError(f"{self.path} cannot be written: {error.strerror}") from error
        return True


def _append(path: Path, line: bytes, size: int) -> None:
    """Write all of `line` behind the `size` bytes of the file, or nothing. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        if os.write(handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)
    except OSError:
        with suppress(OSError):
            os.ftruncate(handle, size)
        raise
    finally:
        os.close(handle)
