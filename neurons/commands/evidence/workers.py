"""Where signatures and variants are checked: in other processes, or in a thread where those would take longer."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Final

FEW: Final = 100  # entries that are checked sooner than processes start


def processes(entries: int) -> Executor:
    """An executor for a journal of so many entries: signatures are checked in a library that keeps other threads."""
    if entries < FEW:
        return ThreadPoolExecutor(1)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["subnet.evidence.proof.signatures"])
    return ProcessPoolExecutor(os.cpu_count(), context)
