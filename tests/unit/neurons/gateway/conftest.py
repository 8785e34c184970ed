"""A journal of miners' past, and a gateway over it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.unit.neurons.gateway import postgres_server
from tests.unit.neurons.gateway.rig import Rig, gateway, write_journal


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty rounds, a third of them with clips."""
    return write_journal(tmp_path_factory.mktemp("past") / "journal.db")


@pytest.fixture
def journal(past: Path, tmp_path: Path) -> Path:
    """A journal of one's own."""
    return Path(shutil.copy(past, tmp_path / "journal.db"))


@pytest.fixture
async def rig(tmp_path: Path, journal: Path) -> AsyncIterator[Rig]:
    async with gateway(tmp_path, journal) as made:
        yield made


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[str]:
    """The address of a server for all tests."""
    if why_not := postgres_server.why_not():
        pytest.skip(why_not)
    with postgres_server.server() as address:
        yield address


@pytest.fixture
def postgres(running_postgres: str) -> str:
    """The same, with nothing of a gateway in it."""
    postgres_server.empty(running_postgres)
    return running_postgres
