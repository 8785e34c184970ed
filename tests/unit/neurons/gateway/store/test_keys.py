"""API keys: hashed at rest, with scopes, rates and quotas that hold across processes."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurons.gateway.store.database import Database
from neurons.gateway.store.keys import DAY, Keys, Scope, Spent
from subnet.errors import SettingsError, StateError

BOTH = frozenset((Scope.IMAGE, Scope.VIDEO))


@dataclass
class Clock:
    """Seconds since 1970, as the test says."""

    time: float = 1_000_000 * DAY + 3600.0

    def __call__(self) -> float:
        return self.time


@dataclass
class Store:
    path: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.database = Database(self.path, self.clock)
        self.keys = Keys(self.database)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state" / "gateway.db")
    yield made
    made.database.close()


def test_a_key_is_found_by_its_text_alone(store: Store) -> None:
    """Neither another secret, nor a part, nor other letters open what the key does."""
    key, text = store.keys.add("shop", BOTH, 60, 100)
    assert store.keys.find(text) == key
    wrong = [
        text[:-1],
        text + "a",
        text.upper(),
        f" {text}",
        "",
        "assay_",
        text[:-1] + ("a" if text[-1] != "a" else "b"),
    ]
    assert [store.keys.find(each) for each in wrong] == [None] * len(wrong)


def test_the_secret_is_not_kept(store: Store) -> None:
    """Whoever reads the file has no key, and only its owner may read it."""
    _, text = store.keys.add("shop", BOTH, 60, 100)
    store.database.tidy()
    data = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert b"shop" in data
    assert text.split("_", 2)[2].encode() not in data
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_revoked_is_for_good_and_at_once(store: Store) -> None:
    """Another process that has the file open notices with the next request; names stay taken."""
    key, text = store.keys.add("shop", BOTH, 60, 100)
    other = Database(store.path, store.clock)
    assert Keys(other).find(text) is not None
    assert store.keys.revoke("shop").id == key.id
    assert Keys(other).find(text) is None
    assert Keys(other).named(key.id) is None
    assert [each.revoked for each in store.keys.all()] == [store.clock.time]
    with pytest.raises(SettingsError, match="in use"):
        store.keys.add("shop", BOTH, 60, 100)
    with pytest.raises(SettingsError, match="nobody"):
        store.keys.revoke("nobody")
    other.close()


def test_rates_are_shared_by_processes(store: Store) -> None:
    """Two gateways over one file give no more than one would, and say when to come again."""
    key, _ = store.keys.add("shop", BOTH, 6, 100)
    other = Database(store.path, store.clock)
    for turn in range(6):
        (Keys(other) if turn % 2 else store.keys).spend(key)
    with pytest.raises(Spent, match="6 requests a minute") as spent:
        store.keys.spend(key)
    assert spent.value.retry_after == pytest.approx(10.0)
    store.clock.time += 10.0
    Keys(other).spend(key)
    other.close()


def test_a_quota_is_for_a_day(store: Store) -> None:
    """It ends at midnight UTC, is given back for what came to nothing, and a clock that goes back gives nothing."""
    key, _ = store.keys.add("shop", BOTH, 6000, 2)
    store.keys.spend(key)
    store.keys.spend(key)
    store.keys.give_back(key)
    store.keys.spend(key)
    with pytest.raises(Spent, match="all 2 requests") as spent:
        store.keys.spend(key)
    assert spent.value.retry_after == pytest.approx(DAY - 3600)
    store.clock.time -= DAY
    with pytest.raises(Spent):
        store.keys.spend(key)
    store.clock.time += 2 * DAY
    store.keys.spend(key)


@settings(max_examples=10)
@given(st.lists(st.floats(0, 30), min_size=1, max_size=40), st.floats(1, 600))
def test_no_more_than_rate_and_burst(tmp_path_factory: pytest.TempPathFactory, waits: list[float], rate: float) -> None:
    """Whatever the pauses between requests, those let through are at most the burst and what came in since."""
    store = Store(tmp_path_factory.mktemp("keys") / "gateway.db")
    key, _ = store.keys.add("shop", BOTH, rate, 10**6)
    begin, passed = store.clock.time, 0
    for wait in waits:
        store.clock.time += wait
        with suppress(Spent):
            store.keys.spend(key)
            passed += 1
    assert passed <= max(1.0, min(10.0, rate), rate / 6) + (store.clock.time - begin) * rate / 60 + 1e-6
    store.database.close()


@pytest.mark.parametrize(
    ("change", "field"),
    [({"name": ""}, "NAME"), ({"name": "a\nb"}, "NAME"), ({"scopes": frozenset()}, "--scopes"), ({"scopes": frozenset([Scope.ANSWERS])}, "--scopes"), ({"rate": 0}, "--rate"), ({"rate": float("nan")}, "--rate"), ({"quota": 0}, "--quota"), ({"webhook": "ftp://x"}, "--webhook"), ({"webhook": "https://user:password@x"}, "--webhook"), ({"webhook": "https://[x"}, "--webhook")],
)  # fmt: skip
def test_wrong_values_are_named(store: Store, change: dict[str, object], field: str) -> None:
    """Each is told by the flag that gives it, and nothing is stored."""
    values = {"name": "shop", "scopes": BOTH, "rate": 60.0, "quota": 10, "webhook": "", **change}
    with pytest.raises(SettingsError, match=field):
        store.keys.add(**values)  # type: ignore[arg-type]
    assert store.keys.all() == []


@pytest.mark.parametrize("damage", [b"no database at all, but long enough to be looked at" * 99, None])
def test_a_file_that_is_none(tmp_path: Path, damage: bytes | None) -> None:
    """Damaged, or of a newer program: told with its name, and left as it is."""
    path = tmp_path / "gateway.db"
    if damage is None:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
    else:
        path.write_bytes(damage)
    before = path.read_bytes()
    with pytest.raises(StateError, match=r"gateway\.db"):
        Database(path)
    assert path.read_bytes() == before


def test_no_file_is_begun_beside_the_log_of_another(tmp_path: Path) -> None:
    """The file was moved away and its log was not: told, and neither made anew nor emptied."""
    log = tmp_path / "gateway.db-wal"
    log.write_bytes(b"keys of before")
    with pytest.raises(StateError, match=r"gateway\.db is missing, but gateway\.db-wal of it is there"):
        Database(tmp_path / "gateway.db")
    assert log.read_bytes() == b"keys of before"
