"""Which database a gateway has: a PostgreSQL server where an address is given, else a file of its own."""

from __future__ import annotations

from pathlib import Path

from neurons.gateway.store.database import Database
from neurons.gateway.store.sqlite import FILE, SqliteDatabase
from subnet.errors import SettingsError


def open_database(folder: Path, address: str = "") -> Database:
    """The server at `address` (postgresql://...), or the file in `folder`. Raises StateError, and SettingsError where
    the server's driver is missing."""
    if not address:
        return SqliteDatabase(folder / FILE)
    try:
        from neurons.gateway.store.postgres import PostgresDatabase
    except ImportError as error:
        raise SettingsError(
            "--gateway.database: PostgreSQL needs a driver: pip install 'assay-subnet[postgres]'"
        ) from error
    return PostgresDatabase(address)
