"""`assay` under a wall clock that is wrong by the seconds in a file: `python -m tests.e2e.wrong_clock FILE WORDS...`.

The monotonic clock goes on as it does, as where somebody sets the time of a machine. The file may change meanwhile.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path


def shift(file: Path) -> None:
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + float(file.read_text())
    time.time_ns = lambda: right_ns() + round(float(file.read_text()) * 1e9)


if __name__ == "__main__":
    shift(Path(sys.argv.pop(1)))
    from neurons.__main__ import start

    start()
