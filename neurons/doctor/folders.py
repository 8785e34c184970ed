"""What lies in the folders of the programs: databases that open, media that is whole, secrets that are secret."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from neurons import settings as s
from neurons.doctor.machine import Finding, Health
from neurons.doctor.standing import ready_media
from neurons.secret_seed import read_seed
from neurons.validator.onchain.epoch_file import SECRETS as EPOCHS
from neurons.validator.onchain.epoch_file import look
from subnet.errors import SettingsError, StateError
from subnet.media.pool.maintenance import damaged

SECRETS = ("validator-*/seed", "producer/*/seed")
PROGRAMS = ("validator-*", "miner-*")
DATABASES = {"ledger.db": ("validator", ", and forgets whom it has asked"), "nonces.db": ("miner", "")}
MOST = 20  # items of each kind whose bytes are read


def databases(home: Path) -> Iterator[Finding]:
    """Every ledger, every store of nonces and every secret of epochs below `home` can be used."""
    for pattern in PROGRAMS:
        for folder in sorted(home.glob(pattern)):
            yield from stored(folder)


def stored(folder: Path) -> Iterator[Finding]:
    """What one program keeps in its state folder beside the journal can be used."""
    for name, (program, lost) in DATABASES.items():
        path = folder / name
        if path.exists():
            trouble = _trouble(path)
            fix = f"stop the {program} and move the file away: it begins a new one{lost}"
            found = f"{path}: {trouble}" if trouble else f"{path} is whole"
            yield Finding("database", Health.FAIL if trouble else Health.OK, found, fix if trouble else "")
    path = folder / EPOCHS
    if path.exists():
        try:
            look(path)
            yield Finding("secrets", Health.OK, f"{path} is whole")
        except StateError as error:
            yield Finding("secrets", Health.FAIL, str(error), "do as it says, while the validator is stopped")


def _trouble(path: Path) -> str:
    """Why the database cannot be used; nothing where it can. It is not written to."""
    if path.stat().st_size == 0:
        return "the file is empty"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=2.0)) as db:
            (said,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return "" if said == "ok" else str(said)


def secrets(home: Path, wallet: s.WalletSettings) -> Iterator[Finding]:
    """Seeds hold a number, and nobody but their owner reads them, nor the keys of the wallet."""
    folder = wallet.path.expanduser() / wallet.name
    seeds = [path for pattern in SECRETS for path in sorted(home.glob(pattern))]
    keys = [path for path in (folder / "hotkeys" / wallet.hotkey, folder / "coldkey") if path.is_file()]
    for path in (*keys, *seeds):
        if mode := stat.S_IMODE(path.stat().st_mode) & 0o077:
            found = f"others may read or write {path} (mode {mode | 0o600:o})"
            yield Finding("secrets", Health.FAIL, found, f"run: chmod 600 {path}; who has read it has the secret")
    for path in seeds:
        try:
            read_seed(path)
        except SettingsError:
            fix = "restore it from a backup, or delete it to draw a new one: past challenges are lost with the old"
            yield Finding("secrets", Health.FAIL, f"{path} holds no number", fix)


def pool(settings: s.PoolSettings) -> Iterator[Finding]:
    """How much lies ready, and whether the next items of each kind are whole; nothing is set aside."""
    if settings.path is None and not settings.folder.is_dir():
        return  # a miner has none
    yield from ready_media(settings)
    bad = damaged(settings.open(), most=MOST) if settings.folder.is_dir() else ()
    if bad:
        found = f"{len(bad)} items are damaged, such as {bad[0][0]}"
        yield Finding("media", Health.FAIL, found, f"set them aside: assay pool verify --pool.path {settings.folder}")
