"""A PostgreSQL server of the system's packages, started for the tests on a socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

NOBODY = 65534  # the server refuses to run as root


def _program(name: str) -> str | None:
    """Where a program of the server lies: on the path, or where Debian puts the newest."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return shutil.which(name) or (str(installed[-1]) if installed else None)


def why_not() -> str:
    """Why there can be none here, or ""."""
    if _program("initdb") is None or _program("postgres") is None:
        return "PostgreSQL is not installed (Debian: the package postgresql)"
    return "" if find_spec("psycopg") else "its driver is not installed: pip install 'assay-subnet[postgres]'"


@contextmanager
def server() -> Iterator[str]:
    """The address of a new server, which ends with the block."""
    initdb, postgres = _program("initdb"), _program("postgres")
    assert initdb is not None
    assert postgres is not None
    user = NOBODY if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # a socket's path is short
        folder, options = Path(name), {} if user is None else {"user": user, "group": user, "extra_groups": []}
        if user is not None:
            os.chown(folder, user, user)
        make = [initdb, "-D", folder / "data", "-U", "assay", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run(make, check=True, capture_output=True, cwd=folder, **options)
        settings = ("listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "max_connections=40")
        words = [word for setting in settings for word in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [postgres, "-D", folder / "data", *words], stdout=log, stderr=log, cwd=folder, **options
            )
        try:
            address = f"postgresql://assay@/postgres?host={folder}"
            _await(address, process, folder / "log")
            yield address
        finally:
            process.terminate()
            process.wait(30)


def _await(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())


def empty(address: str) -> None:
    """Drop what gateways keep there."""
    import psycopg

    with psycopg.connect(address, autocommit=True) as db:
        db.execute("DROP SCHEMA IF EXISTS assay_gateway CASCADE")
