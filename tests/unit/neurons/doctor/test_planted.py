"""`assay doctor` on a set-up with ten faults at once, each a real one: all ten are named, and a sound one is sound."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import detectors as detector_package
from neurons.doctor import machine
from neurons.doctor.machine import Health
from subnet.chain.devnode.keys import wallet_from_seed
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.pool.pool import Pool
from subnet.types import Label, Modality, Split
from tests.unit.neurons.doctor.test_doctor import ABSENT, flip, web
from tests.unit.neurons.running import Assay
from tests.unit.subnet.evidence.journals import write_journal

NETUID = 7
ITEMS = 24  # of the pool: enough that it does not run dry soon


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A development chain on which the wallet "known" is registered and "stranger" is not; the wallets' folder."""
    folder = tmp_path_factory.mktemp("chain")
    known, _ = (wallet_from_seed(name, folder, "planted").hotkey.ss58_address for name in ("known", "stranger"))
    path = folder / "genesis.json"
    path.write_text(Genesis(NETUID, (GenesisNeuron(known, known, 10.0),)).to_json())
    words = ["-m", "subnet.chain.devnode", "--genesis", str(path), "--port", "0", "--block-ms", "250"]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as node:
        assert node.stdout is not None
        yield node.stdout.readline().split()[1], folder
        node.terminate()


@dataclass
class Place:
    """A sound set-up of one machine, for faults to be planted in."""

    home: Path
    wallets: Path
    weights: Path
    endpoint: str
    wallet: str = "known"
    ahead: float = 0.0  # seconds that this machine's clock is ahead
    port: int = 0

    @property
    def words(self) -> tuple[object, ...]:
        where = ("--netuid", NETUID, "--subtensor.chain_endpoint", self.endpoint, "--pool.path", self.home / "pool")
        return ("doctor", *where, "--wallet.path", self.wallets, "--wallet.name", self.wallet, "--axon.ip", "127.0.0.1")


@pytest.fixture
def place(chain: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    endpoint, wallets = chain
    home = tmp_path / "home"
    monkeypatch.setenv("ASSAY_HOME", str(home))
    shutil.copytree(wallets, tmp_path / "wallets")
    weights = tmp_path / "weights"
    shutil.copytree(Path(detector_package.__file__).parent / "weights", weights)
    monkeypatch.setattr("detectors.checkpoints.HERE", weights)
    folder = home / "validator-7-hotkey"
    write_journal(folder / "journal.db", 6)
    (folder / "seed").write_text("12345\n")
    (folder / "seed").chmod(0o600)
    with closing(sqlite3.connect(folder / "ledger.db")) as db:
        db.execute("CREATE TABLE asked (content TEXT)")
    pool, source = Pool(home / "pool"), EmbeddedSource(Split.TEST)
    for number in range(ITEMS):
        sample = source.draw(Modality.IMAGE, Label.REAL, np.random.default_rng(number))
        pool.put(sample, stream="main", sequence=number, origin="embedded")
    return Place(home, tmp_path / "wallets", weights, endpoint)


def examined(place: Place, assay: Assay) -> Any:
    with web(formatdate(time.time() - place.ahead, usegmt=True)) as url:
        return assay(*place.words, "--clock_url", url, "--axon.port", place.port, "--json")


def failed(facts: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    """What failed, by check."""
    rows: dict[str, list[dict[str, str]]] = {}
    for row in facts["checks"]:
        if row["verdict"] == "fail":
            rows.setdefault(row["check"], []).append(row)
    return rows


def key(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    path = place.wallets / place.wallet / "hotkeys" / "default"
    path.chmod(0o644)
    return f"others may read or write {path} (mode 644)"


def stranger(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    place.wallet = "stranger"
    return f"is not registered on subnet {NETUID}"


def clock(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    place.ahead = 60.0
    return "s ahead of"


def journal(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    path = place.home / "validator-7-hotkey" / "journal.db"
    path.write_bytes(b"no database " * 1000)
    return str(path)


def ledger(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    path = place.home / "validator-7-hotkey" / "ledger.db"
    path.write_bytes(path.read_bytes()[:1000])
    return str(path)


def seed(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    path = place.home / "validator-7-hotkey" / "seed"
    path.write_text("")
    return f"{path} holds no number"


def item(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    path = sorted((place.home / "pool").rglob("*.item"))[3]
    flip(path, -5)
    return f"1 items are damaged, such as {path}"


def empty(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    for path in (place.home / "pool").rglob("*.item"):
        path.unlink()
    return "0 items ready"


def weights(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    flip(place.weights / "camo.safetensors", -5)
    return "camo.safetensors of camo is damaged"


def variable(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ASSAY_SEED", "7")
    return "ASSAY_SEED is no setting of assay miner or validator or producer or replicas; did you mean ASSAY_VALIDATOR_SEED?"


def spare(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    place.endpoint = f"{place.endpoint},{ABSENT}"
    return ABSENT


def wallet(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    place.wallet = "nobody"
    return str(place.wallets / "nobody")


def dead(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    place.endpoint = ABSENT
    return ABSENT


Fault = Callable[[Place, pytest.MonkeyPatch], str]  # plants it, and gives a text that must be told
PLANTED: dict[str, tuple[str, Fault]] = {
    "a key that others may read": ("secrets", key),
    "a hotkey that is not registered": ("registration", stranger),
    "a clock that is off": ("clock", clock),
    "a journal that is damaged": ("journal", journal),
    "a ledger that is cut off": ("database", ledger),
    "an item of the pool that is damaged": ("media", item),
    "weights that are damaged": ("detectors", weights),
    "a variable that nobody reads": ("variables", variable),
    "a node that is dead beside one that lives": ("endpoints", spare),
}
HIDING: dict[str, tuple[str, Fault]] = {
    "a seed that is no number": ("secrets", seed),
    "a pool that is empty": ("pool", empty),
    "a wallet that is not there": ("wallet", wallet),
    "a chain that is dead": ("chain", dead),
}


@contextmanager
def occupied(place: Place) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place.port = taken.getsockname()[1]
        yield f"port {place.port} on 127.0.0.1 is occupied"
        place.port = 0


def test_a_sound_set_up_has_none(place: Place, assay: Assay) -> None:
    """What the faults are planted in is well, so that each finding below is of its fault; and nothing is changed."""
    before = {path: path.read_bytes() for path in place.home.rglob("*") if path.is_file()}
    ran = examined(place, assay)
    assert (ran.status, failed(ran.json)) == (0, {})
    assert {path: path.read_bytes() for path in place.home.rglob("*") if path.is_file()} == before


def test_ten_faults_at_once_are_all_named(place: Place, assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stands under its check with what was found and what mends it; none hides another. Exit status 1."""
    place.wallet = "stranger"  # whose key it is that others may read
    wanted = {check: plant(place, monkeypatch) for check, plant in PLANTED.values()}
    with occupied(place) as said:
        wanted["port"] = said
        ran = examined(place, assay)
    assert (ran.status, ran.json["ok"], len(wanted)) == (1, False, 10)
    found = failed(ran.json)
    assert set(found) == set(wanted)
    for check, text in wanted.items():
        assert any(text in row["found"] for row in found[check]), (check, found[check])
        assert all(row["fix"] for row in found[check])
        assert all(set(row) == {"check", "verdict", "found", "fix"} for row in found[check])


def test_faults_that_hide_others(place: Place, assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that cannot be planted beside the ten are named, too."""
    wanted = {check: plant(place, monkeypatch) for check, plant in HIDING.values()}
    ran = examined(place, assay)
    found = failed(ran.json)
    assert ran.status == 1
    for check, text in wanted.items():
        assert any(text in row["found"] and row["fix"] for row in found[check]), (check, found)


@pytest.mark.parametrize("home", ["/proc/1/assay", "/dev/null"])
def test_a_home_that_cannot_be_written(home: str) -> None:
    """Neither a folder below one that takes no files, nor a file."""
    (found,) = machine.disk(Path(home))
    assert (found.verdict, "ASSAY_HOME" in found.fix) == (Health.FAIL, True)
