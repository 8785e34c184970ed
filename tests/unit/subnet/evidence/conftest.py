"""Journals of tests lie in memory where the machine allows: SQLite waits for the disk twice an entry."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory for all tests of a module; on disk where there is none."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path_factory.mktemp("quick")
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="assay-test-") as name:
        yield Path(name)


@pytest.fixture
def tmp_path(quick: Path) -> Path:
    """A folder of its own for each test."""
    return Path(tempfile.mkdtemp(dir=quick))
