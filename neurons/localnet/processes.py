"""Starts the processes of a local network, keeps their logs, and ends all of them whatever happens.

They also end when we are killed (`subnet.lifetime`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from neurons.localnet import forks
from subnet.errors import SubnetError
from subnet.lifetime import PARENT

GRACE = 1.2  # seconds from SIGTERM to SIGKILL: with the time it takes itself, a local network has two


class ProcessDied(SubnetError):
    """A process of the local network ended before it should; the message has the end of its log."""


class Crew:
    """Processes by name. Each has a log file and a process group of its own, so that Ctrl-C reaches only us."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs, self._environment = logs, {**os.environ, **environment, PARENT: str(os.getpid())}
        self.processes: dict[str, asyncio.subprocess.Process | forks.Fork] = {}

    def prepare(self) -> None:
        """Begin to import what miners and producers need: `fork` waits for it."""
        if forks.ABLE:
            forks.prepare(self._environment)

    async def fork(self, name: str, arguments: Sequence[str], *, behind: int = 0) -> None:
        """Run `assay ARGUMENTS`, `behind` steps of niceness behind the others; what it writes goes to NAME.log."""
        if forks.ABLE:
            self.processes[name] = await forks.fork(arguments, self._logs / f"{name}.log", behind)
        else:
            await self.start(name, "neurons", arguments)

    def catch_up(self, name: str) -> None:
        """A process that stood behind the others does so no more."""
        forks.catch_up(self.processes[name].pid)

    async def start(self, name: str, module: str, arguments: Sequence[str]) -> asyncio.subprocess.Process:
        """Run `python -m module arguments`; its standard output is a pipe, its standard error goes to NAME.log."""
        with (self._logs / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                limit=2**24,
            )
        self.processes[name] = process
        return process

    def kill(self, name: str) -> None:
        """End one process at once, as a power cut would."""
        _signal(self.processes[name], signal.SIGKILL)

    def check(self, *names: str) -> None:
        """Raises ProcessDied when one of `names`, or without names any, has ended."""
        for name, process in self.processes.items():
            if process.returncode is not None and (not names or name in names):
                raise ProcessDied(f"{name} ended with status {process.returncode}:\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 12) -> str:
        """The end of a process's log."""
        text = (self._logs / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    async def stop(self) -> None:
        """SIGTERM to all, last started first, and SIGKILL to those that do not end in time."""
        for process in reversed(self.processes.values()):
            _signal(process, signal.SIGTERM)
        waiting = [asyncio.create_task(_ended(process)) for process in self.processes.values()]
        if waiting:
            await asyncio.wait(waiting, timeout=GRACE)
        for process in self.processes.values():
            _signal(process, signal.SIGKILL)
        await asyncio.gather(*waiting)


async def _ended(process: asyncio.subprocess.Process | forks.Fork) -> None:
    if process.stdout:
        while await process.stdout.read(2**16):  # an unread pipe would keep `wait` from returning
            pass
    await process.wait()


def _signal(process: asyncio.subprocess.Process | forks.Fork, number: signal.Signals) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)  # a fork that has just begun has no group yet
            os.killpg(process.pid, number)
