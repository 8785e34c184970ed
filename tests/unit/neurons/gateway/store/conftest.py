"""The gateway's records in both dialects: a file, and a PostgreSQL server that the tests start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from neurons.gateway.store.keys import Keys
from tests.unit.neurons.gateway.store.stores import Store


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty database."""
    made = Store(tmp_path / "state", request.getfixturevalue("postgres") if request.param == "postgres" else "")
    yield made
    made.close()


@pytest.fixture
def keys(store: Store) -> Keys:
    return Keys(store.open())
