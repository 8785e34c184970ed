"""A process that ends with the one that started it, however that ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PARENT: Final = "ASSAY_PARENT"  # the process id of whoever must not be outlived
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


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
