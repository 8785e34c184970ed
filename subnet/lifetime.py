"""When a process ends: with the one that started it, and soon after it was told to, whatever it does then."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from typing import Final

PARENT: Final = "ASSAY_PARENT"  # the process id of whoever must not be outlived
LAST: Final = 1.6  # seconds from a signal to the end, which itself takes some tenths where much memory is held
INTERRUPTED: Final = 130  # exit status, as shells have it
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_told = threading.Event()


def end_soon(status: int = 0) -> None:
    """Whatever its threads do, this process ends with `status` within LAST seconds: for handlers of signals.

    What they have in hand is given up; files are whole at every moment, as a power cut needs it too.
    """
    _told.set()
    timer = threading.Timer(LAST, os._exit, (status,))
    timer.daemon = True
    timer.start()


def leave(status: int) -> None:
    """After `end_soon`, once everything is closed: end now, as an interpreter with much in it takes seconds to."""
    if _told.is_set():
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


def end_with_parent() -> None:
    """Where $ASSAY_PARENT names our parent: SIGTERM comes when it dies, also of SIGKILL. Linux only; elsewhere nothing.

    Exits at once where the parent is gone already.
    """
    parent = os.environ.get(PARENT, "")
    if not parent.isdecimal() or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(0)
