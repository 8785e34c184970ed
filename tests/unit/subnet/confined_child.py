"""What `test_confined.py` starts: a child that is confined, and then does as it is told."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

from subnet.confined import confine


def main(how: str, place: str = "") -> None:
    data = sys.stdin.buffer.read()
    confine(2**29, 1)
    if how == "echo":
        sys.stdout.buffer.write(data + b"|" + " ".join(os.environ).encode())
    if how == "memory":
        bytearray(2**30)
    if how == "file":
        Path(place).write_bytes(b"x" * 100_000)
    if how == "crash":
        ctypes.string_at(0)
    while how == "spin":
        pass
    if how == "sleep":
        time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
