"""What programs log: one line for what a library's background task leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from neurons.producer.run import Reporting
from subnet.media.pool.item import Cell
from subnet.media.pool.producer import Event, ProducerStep
from subnet.types import Label, Modality

LEAVES_A_TASK_BEHIND = """
import asyncio, gc
from neurons.log import configure
from neurons.settings import LoggingSettings

configure(LoggingSettings(level={level!r}), "miner")

async def fails() -> None:
    assert 1 == 2, "the node went away"

async def main() -> None:
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    del task
    gc.collect()

asyncio.run(main())
"""


FAILS_IN_A_REQUEST = """
import logging
import structlog
from neurons.log import configure
from neurons.settings import LoggingSettings

configure(LoggingSettings(), "gateway")
structlog.contextvars.bind_contextvars(request_id="mine-8")
try:
    assert 1 == 2, "a mistake"
except AssertionError:
    logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
"""


def test_what_a_server_logs_of_a_request_has_its_id() -> None:
    """Also what a library logs, with its traceback."""
    done = subprocess.run([sys.executable, "-c", FAILS_IN_A_REQUEST], capture_output=True, text=True, check=True)
    told = json.loads(done.stderr)
    assert (told["request_id"], "a mistake" in told["exception"]) == ("mine-8", True)


@pytest.mark.parametrize(("level", "traceback"), [("INFO", False), ("DEBUG", True)])
def test_what_a_library_leaves_behind_is_one_line(level: str, traceback: bool) -> None:
    """An error in a task that nobody waits for: its kind and its text, and the traceback only where it is asked for."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVES_A_TASK_BEHIND.format(level=level)], capture_output=True, text=True, check=True
    )
    assert "AssertionError" in done.stderr
    assert "the node went away" in done.stderr
    assert ("Traceback" in done.stderr) is traceback
    assert traceback or len(done.stderr.strip().splitlines()) == 1


SDK_LEAVES_A_TASK_BEHIND = """
import asyncio, gc
from bittensor._transport.rpc import RpcSession
from neurons.log import configure
from neurons.settings import LoggingSettings

configure(LoggingSettings(), "validator")

async def main() -> None:
    session = RpcSession("ws://127.0.0.1:9")
    session._supervisor = asyncio.create_task(session._run())
    await asyncio.wait({session._supervisor})
    session._supervisor = None
    gc.collect()
    raise_later = asyncio.create_task(fails())
    await asyncio.wait({raise_later})
    del raise_later
    gc.collect()

async def fails() -> None:
    raise RuntimeError("a fault of ours")

asyncio.run(main())
"""


def test_what_the_sdk_leaves_behind_is_a_warning() -> None:
    """Its connection ended with the chain, which is told by its reader: one line, no error. Others stay errors."""
    done = subprocess.run([sys.executable, "-c", SDK_LEAVES_A_TASK_BEHIND], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["level"], line["logger"]) for line in lines] == [("warning", "asyncio"), ("error", "asyncio")]
    assert "MaxRetriesExceeded could not connect" in lines[0]["event"]
    assert "RuntimeError a fault of ours" in lines[1]["event"]


WRITES = """
import pathlib
from neurons.log import configure
from neurons.settings import LoggingSettings

log = configure(LoggingSettings(file=pathlib.Path({file!r}), megabytes=0.002, keep=2), "miner")
for number in range(200):
    log.info("round", number=number, seed=987654321, wallet_password="open sesame", why="sent hf_abcdefgh123")
"""


def test_a_log_file_is_bounded_and_holds_no_secret(tmp_path: Path) -> None:
    """JSON lines, rotated by size, old ones dropped, for the owner alone; secrets neither there nor on stderr."""
    file = tmp_path / "assay.log"
    done = subprocess.run(
        [sys.executable, "-c", WRITES.format(file=str(file))],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HF_TOKEN": "hf_abcdefgh123"},
    )
    parts = sorted(tmp_path.iterdir())
    assert [part.name for part in parts] == ["assay.log", "assay.log.1", "assay.log.2"]
    assert all(part.stat().st_size < 2200 for part in parts)
    assert file.stat().st_mode & 0o077 == 0
    assert json.loads(file.read_text().splitlines()[-1])["number"] == 199
    everything = done.stderr + "".join(part.read_text() for part in parts)
    assert not any(secret in everything for secret in ("987654321", "sesame", "hf_abcdefgh123"))


LIBRARIES = """
import logging, pathlib, warnings
from neurons.log import configure
from neurons.settings import LoggingSettings

configure(LoggingSettings(file=pathlib.Path({file!r})), "miner")
logging.getLogger("subnet.wire").warning("requests refused with %d: %s", 403, "token hf_abcdefgh123")
logging.getLogger("bittensor.transport").error("two\\nlines, 100%% of ws://user:sesame@node")
logging.getLogger("quiet").info("never written")
warnings.warn("an old call")
try:
    raise ConnectionError("no answer from ws://user:sesame@node with hf_abcdefgh123")
except ConnectionError:
    logging.getLogger("library").exception("it broke")
"""


def test_what_libraries_log_is_json_too(tmp_path: Path) -> None:
    """Off a terminal every line is one object with level and logger, in the file of the settings, too; none a secret."""
    file = tmp_path / "assay.log"
    done = subprocess.run(
        [sys.executable, "-c", LIBRARIES.format(file=str(file))],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HF_TOKEN": "hf_abcdefgh123"},
    )
    for text in (done.stderr, file.read_text()):
        lines = [json.loads(line) for line in text.splitlines()]
        assert [(line["logger"], line["level"]) for line in lines] == [
            ("subnet.wire", "warning"),
            ("bittensor.transport", "error"),
            ("py.warnings", "warning"),
            ("library", "error"),
        ]
        assert [line["event"] for line in lines[:2]] == [
            "requests refused with 403: token ***",
            "two\nlines, 100%% of ws://***@node",
        ]
        assert "ConnectionError: no answer from ws://***@node with ***" in lines[3]["exception"]
        assert {line["program"] for line in lines} == {"miner"}
        assert not any(secret in text for secret in ("sesame", "hf_abcdefgh123"))


def test_a_producer_without_room_says_so_once() -> None:
    """However often it looks, and however many bytes are free then; room that comes back is told, and then it is news."""
    cell = Cell(Modality.IMAGE, Label.REAL, "here")
    full = [ProducerStep(Event.NO_ROOM, cell, reason=f"{free} bytes free on the disk") for free in range(3)]
    reporting = Reporting(structlog.get_logger(), None, json=False)
    with capture_logs() as lines:
        for step in (*full, ProducerStep(Event.STORED, cell), full[0]):
            reporting(step)
    assert [line.get("reason", line.get("why")) for line in lines] == [full[0].reason, "mended", full[0].reason]
