"""A folder for tests that are asked many times over."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quick")
