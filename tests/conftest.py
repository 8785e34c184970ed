"""What every test shares: a home folder of its own, no network beyond this machine, and hypothesis without a clock."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("assay", deadline=None, max_examples=60)
settings.load_profile("assay")


def pytest_configure() -> None:
    """Programs that tests start obey signals, also where the tests themselves were started by nohup."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


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
