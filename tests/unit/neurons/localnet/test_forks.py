"""Commands in forks of one process that has imported what they need."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from neurons.localnet import forks
from neurons.localnet.processes import Crew, ProcessDied

pytestmark = pytest.mark.skipif(not forks.ABLE, reason="forks are for Linux")


async def ends(crew: Crew, name: str) -> int | None:
    await asyncio.wait_for(crew.processes[name].wait(), 60)
    return crew.processes[name].returncode


def until_behind(pid: int, steps: int) -> None:
    """Wait until a process has this niceness, and so has its session where sessions share the processors."""
    share, ends = Path(f"/proc/{pid}/autogroup"), time.monotonic() + 30
    shared = os.access("/proc/self/autogroup", os.W_OK)
    while os.getpriority(os.PRIO_PROCESS, pid) != steps or (shared and f"nice {steps}\n" not in share.read_text()):
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_fork_is_a_process_with_its_own_log_group_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says is in its log, its status is known, a dead one is told with its log's end, and a killed one is.

    One that is to stand behind does so: niceness alone counts within a session only, where sessions share the processors.
    """
    monkeypatch.setattr(forks, "MODULES", ("neurons.cli",))

    async def play() -> None:
        crew = Crew(tmp_path, {"ASSAY_HOME": str(tmp_path / "home")})
        crew.prepare()
        await crew.fork("lists", ["detectors"])
        await crew.fork("wrong", ["miner", "--netuid", "none"])
        assert await ends(crew, "lists") == 0
        assert await ends(crew, "wrong") not in (0, None)
        assert "npr" in (tmp_path / "lists.log").read_text()
        with pytest.raises(ProcessDied, match="wrong ended with status"):
            crew.check("wrong")
        chain = ["--subtensor.chain_endpoint", "ws://127.0.0.1:1", "--wallet.path", str(tmp_path)]
        await crew.fork("killed", ["rogue", "--netuid", "1", *chain])
        pid = crew.processes["killed"].pid
        assert pid not in (os.getpid(), crew.processes["lists"].pid)
        crew.kill("killed")
        assert await ends(crew, "killed") == -signal.SIGKILL
        await crew.fork("behind", ["rogue", "--netuid", "1", *chain], behind=7)
        behind = crew.processes["behind"].pid
        await asyncio.to_thread(until_behind, behind, 7)
        if os.geteuid() == 0:  # others may not lower niceness, only that of a session
            crew.catch_up("behind")
            await asyncio.to_thread(until_behind, behind, 0)
        crew.kill("behind")
        assert "ASSAY_HOME" not in os.environ or os.environ["ASSAY_HOME"] != str(tmp_path / "home")
        await crew.stop()

    asyncio.run(play())
