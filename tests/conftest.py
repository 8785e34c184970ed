"""What every test shares: a home folder of its own, no network beyond this machine, and hypothesis without a clock."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("assay", deadline=None, max_examples=60)
settings.load_profile("assay")

MEMORY, ROOM = Path("/dev/shm"), 4 << 30  # a folder in memory, and bytes that must be free there


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Programs that tests start obey signals, also where the tests themselves were started by nohup.

    Files of tests lie in memory where there is room: SQLite waits for the disk twice an entry.
    """
    if config.option.basetemp is None and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        config.option.basetemp = tempfile.mkdtemp(dir=MEMORY, prefix="assay-test-")
        config.add_cleanup(partial(shutil.rmtree, config.option.basetemp, ignore_errors=True))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Libraries and tests stay to the end: garbage is not looked for among them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's wallets, caches or settings, and no test asks a hub."""
    home: Path = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    for name, value in {
        "HOME": str(home),
        "BITTENSOR_RUNTIME_CACHE_DIR": str(home / "runtime-cache"),
        "HF_HUB_OFFLINE": "1",
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "ASSAY_HOME": str(home / "assay"),
    }.items():
        monkeypatch.setenv(name, value)
