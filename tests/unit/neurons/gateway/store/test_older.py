"""A database that an older gateway made."""

from __future__ import annotations

import pytest

from neurons.gateway.store import database
from neurons.gateway.store.keys import Keys
from tests.unit.neurons.gateway.store.stores import Store


def test_an_older_database_is_carried_over(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, and what was counted of today, stand in the new tables; a process that begins later changes nothing."""
    day = int(store.clock.time) // 86_400
    with monkeypatch.context() as before:
        before.setattr(database, "_STEPS", database._STEPS[:1])
        before.setattr(f"neurons.gateway.store.{'postgres' if store.address else 'sqlite'}.SCHEMA", 1)
        with store.open().writing() as db:
            row = ("k", "shop", b"", "image", 60.0, 10, "", 1.0, None, 5.0, 1.0, day, 3)
            db.execute(f"INSERT INTO keys VALUES ({','.join('?' * len(row))})", row)
    for _ in range(2):
        assert [(key.name, key.quota, key.spent) for key in Keys(store.open()).all()] == [("shop", 10, 3)]
