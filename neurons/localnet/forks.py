"""Miners and producers as forks of one process that has imported what all of them need, so that imports are paid once.

Each is a process of its own all the same: its own memory, threads, log, signals and end. Linux only; elsewhere
libraries do not survive a fork, and all are started as everything else is.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import select
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from subnet.lifetime import PARENT

if TYPE_CHECKING:
    from collections.abc import Iterator

ABLE: Final = sys.platform == "linux"
MINERS: Final = ("neurons.cli", "neurons.miner.program", "neurons.miner.rogue", "detectors.baselines")
NETWORKS: Final = ("detectors.torch_detector", "detectors.public_checkpoints")
ROUTES: Final = ("pydantic.v1",)  # fastapi imports it with the first route
MODULES: Final = (*MINERS, *ROUTES, *NETWORKS, "neurons.producer.run")  # what they import is what takes long


class Fork:
    """A process, with that of `asyncio.subprocess.Process` which a crew uses."""

    stdout: None = None

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    async def wait(self) -> int:
        """The exit status; negative for a signal."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            while (status := self.returncode) is None:
                await ended.wait()
                ended.clear()
            return status
        finally:
            loop.remove_reader(self._process.sentinel)


def prepare(environment: Mapping[str, str]) -> None:
    """Begin to import, in a process beside us that sees `environment` and ends with us."""
    with _environment(environment):
        forkserver.set_forkserver_preload(list(MODULES))
        forkserver.ensure_running()


async def fork(arguments: Sequence[str], log: Path, behind: int = 0) -> Fork:
    """Run `assay ARGUMENTS`, which writes to `log`, in a fork of what `prepare` began; waits until that is ready.

    Its niceness is `behind` more than ours.
    """
    process = multiprocessing.get_context("forkserver").Process(
        target=_run, args=(list(arguments), str(log), os.getpid(), behind)
    )
    await asyncio.to_thread(process.start)
    return Fork(process)


def _run(arguments: list[str], log: str, origin: int, behind: int) -> None:
    threading.Thread(target=_end_with, args=(origin,), daemon=True).start()
    os.setsid()
    _fall_behind(behind)
    with open(log, "wb") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    multiprocessing.set_start_method("fork", force=True)  # else locks of progress bars are named, and left when we end
    os.environ[PARENT] = str(os.getppid())
    sys.argv = ["assay", *arguments]
    from neurons.__main__ import start

    start()


def _fall_behind(steps: int) -> None:
    """Raise our niceness. Where each session has a share of the processors of its own, that of our session, too."""
    os.nice(steps)
    with contextlib.suppress(OSError):  # there are none, or another session has just changed its own
        Path("/proc/self/autogroup").write_text(f"{steps}\n", encoding="ascii")


def catch_up(pid: int) -> None:
    """Undo `behind` for a process, as far as we may: niceness is lowered by few, that of a session by everybody."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("0\n", encoding="ascii")
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0))


def _end_with(origin: int) -> None:
    """End when `origin` does, also of SIGKILL, and the process that we are forked of, which may outlive it."""
    with contextlib.suppress(ProcessLookupError):  # it is gone already
        select.select([os.pidfd_open(origin)], [], [])
    if os.getppid() == int(os.environ.get(PARENT, "0")):
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
