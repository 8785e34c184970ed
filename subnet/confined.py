"""Native code over bytes of strangers in a process of its own: one file in, one answer out, within bounds."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Sequence


def ask(module: str, words: Sequence[str], data: bytes, seconds: float) -> tuple[int, bytes] | None:
    """Exit status and output of `python -m module words...` that reads `data`; None where it takes over `seconds`.

    The process inherits no environment, in which a secret could be, but where packages are.
    """
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", module, *words]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=seconds, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.returncode, done.stdout


def confine(memory: int, seconds: int) -> None:
    """Give up, in the child, address space beyond `memory` bytes, processor time, writing files, and core dumps."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    if sys.platform == "linux":  # elsewhere address space cannot be limited; the times still hold
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
