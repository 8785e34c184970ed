"""How programs end: at once when told, and never after the one that started them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from neurons.chain_view import ChainView, first_snapshot
from neurons.signals import ends_before
from subnet.chain.bittensor import BittensorChain
from tests.places import ROOT

CHILD = """
import sys, time
from subnet.lifetime import end_with_parent
end_with_parent()
print("up", flush=True)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env={**os.environ, "ASSAY_PARENT": str(os.getpid())},
                         stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone_within(pid: int, seconds: float) -> bool:
    ends = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < ends:
        time.sleep(0.02)
    return not alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_a_child_ends_with_its_parent(number: signal.Signals) -> None:
    """Whatever ends the parent, SIGKILL too, the child in a session of its own ends as well."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.send_signal(number)
    parent.wait(5)
    parent.stdout.close()
    assert gone_within(child, 5)


def test_without_the_variable_nothing_is_tied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that an operator starts outlives the shell, as ever."""
    code = "from subnet.lifetime import end_with_parent; end_with_parent(); print('up')"
    monkeypatch.delenv("ASSAY_PARENT", raising=False)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "up\n"
    orphan = {**os.environ, "ASSAY_PARENT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=orphan, check=True
    )
    assert done.stdout == ("" if os.getpid() != 1 else "up\n")


PROGRAM = """
import asyncio, sys, threading, time
from neurons.signals import set_by_signal, until_signal

def wait_for_ever(stop):
    print("up", flush=True)
    while time.sleep(60) is None:
        pass

async def loop(held_up, thread):
    with until_signal() as stop:
        if held_up:
            wait_for_ever(stop)
        if thread:
            asyncio.create_task(asyncio.to_thread(time.sleep, 60))
        print("up", flush=True)
        await stop.wait()
    print("ended", flush=True)

def item():
    stop = threading.Event()
    set_by_signal(stop)
    threading.Thread(target=wait_for_ever, args=(stop,)).start()
    stop.wait()
    print("ended", flush=True)

{"free": lambda: asyncio.run(loop(False, False)), "held up": lambda: asyncio.run(loop(True, False)),
 "thread": lambda: asyncio.run(loop(False, True)), "item": item}[sys.argv[1]]()
"""


SOON = 6.0  # seconds: two, and three interpreters' ends on a busy machine; none would come for sixty


@pytest.mark.parametrize("busy", ["free", "held up", "thread", "item"])
def test_signals_that_end(busy: str) -> None:
    """Ctrl-C, a service manager and a closed terminal end a program within two seconds.

    So does one whose loop is held up, whose thread waits for a name to be resolved, or that has an item in hand. Three
    programs wait side by side, each for a signal of its own.
    """
    words = [sys.executable, "-c", PROGRAM, busy]
    with contextlib.ExitStack() as stack:
        programs = {}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = stack.enter_context(subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT))
            stack.callback(process.kill)
            programs[number] = process
        for process in programs.values():
            assert process.stdout
            assert process.stdout.readline() == "up\n"
        began = time.monotonic()
        for number, process in programs.items():
            process.send_signal(number)
        for number, process in programs.items():
            rest, _ = process.communicate(timeout=20)
            assert time.monotonic() - began < SOON, number
            assert process.returncode == 0, number
            assert rest == ("" if busy == "held up" else "ended\n"), number


async def test_work_that_ends_by_itself_is_told_from_work_that_is_cut_short() -> None:
    """True and untouched when it ends before the stop or within the grace; else False, cancelled, and soon."""
    stop = asyncio.Event()
    quick = asyncio.create_task(asyncio.sleep(0.01, "done"))
    assert await ends_before(stop, quick)
    assert quick.result() == "done"
    stop.set()
    graceful = asyncio.create_task(asyncio.sleep(0.05, "done"))
    assert await ends_before(stop, graceful, grace=5.0)
    endless = asyncio.create_task(asyncio.sleep(60))
    assert not await ends_before(stop, endless, grace=0.05)
    assert endless.cancelled()


async def test_work_that_does_not_let_itself_be_cancelled_is_left_behind() -> None:
    """Even a task that swallows its cancellation delays the end by half a second at most."""
    stop, release = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    task, began = asyncio.create_task(stubborn()), time.monotonic()
    stop.set()
    assert not await ends_before(stop, task, grace=0.0)
    assert time.monotonic() - began < 5
    release.set()
    await task


async def test_a_silent_chain_does_not_hold_up_the_end() -> None:
    """A node that accepts connections and says nothing: a stop ends the first look at it at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections into its queue, and no more
        await _stopped_while_connecting(server.getsockname()[1])


async def _stopped_while_connecting(port: int) -> None:
    chain = BittensorChain(f"ws://127.0.0.1:{port}", 1, call_deadline=60)
    from structlog import get_logger

    stop, log = asyncio.Event(), get_logger()
    looking = asyncio.create_task(first_snapshot(ChainView(chain, log), stop, log, patience=60))
    await asyncio.sleep(0.1)
    began = time.monotonic()
    stop.set()
    assert await asyncio.wait_for(looking, 10) is None
    assert time.monotonic() - began < 2
    await asyncio.wait_for(chain.close(), 10)


LOGGING = """
import logging
from neurons.log import configure
from neurons.settings import LoggingSettings
log = configure(LoggingSettings(), "test")
for _ in range(3):
    log.error("a line")
    logging.getLogger("library").error("another")
print("alive")
"""


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2> >(exec true)"], ids=["closed", "full", "broken"])
def test_a_log_that_cannot_be_written_is_lost_in_silence(redirection: str) -> None:
    """A closed standard error, a full disk and a broken pipe take the lines, and the program goes on."""
    command = ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, LOGGING]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.stdout, done.stderr) == ("alive\n", "")


HANGUP = """
import asyncio, fcntl, sys, termios
from neurons.signals import on_hangup, until_signal

async def main():
    if "terminal" in sys.argv:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    with until_signal() as stop:
        if "service" in sys.argv:
            with on_hangup(lambda: print("again", flush=True)):
                print("up", flush=True)
                await stop.wait()
        else:
            print("up", flush=True)
            await stop.wait()

asyncio.run(main())
"""


@contextlib.contextmanager
def running(*words: str, below: tuple[str, ...] = (), terminal: int = -3) -> Iterator[subprocess.Popen[str]]:
    """HANGUP in a session of its own, once it is up; -3 is the null device."""
    command = [*below, sys.executable, "-c", HANGUP, *words]
    with subprocess.Popen(
        command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("below", [(), ("nohup",)])
def test_a_service_looks_again_on_sighup(below: tuple[str, ...]) -> None:
    """Without a terminal, or below nohup, SIGHUP calls what it is for, as often as it comes; SIGTERM ends the program."""
    with running("service", below=below) as process:
        assert process.stdout
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
            assert process.stdout.readline() == "again\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def test_below_nohup_a_program_outlives_its_terminal() -> None:
    """SIGHUP is ignored there, as whoever wrote nohup wants it; without nohup it ends the program."""
    with running(below=("nohup",)) as process:
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    with running() as process:
        process.send_signal(signal.SIGHUP)
        assert process.wait(5) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="terminals are taken in another way elsewhere")
def test_in_a_terminal_a_service_ends_with_it() -> None:
    """Whoever closes the window ends what ran in it: nothing serves on unseen."""
    ours, theirs = os.openpty()
    with running("service", "terminal", terminal=theirs) as process:
        os.close(theirs)
        os.close(ours)
        assert process.wait(5) == 0
