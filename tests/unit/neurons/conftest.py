"""The command line as a fixture."""

from __future__ import annotations

import pytest

from tests.unit.neurons.running import Assay


@pytest.fixture
def assay(capfd: pytest.CaptureFixture[str]) -> Assay:
    """`assay("pool", "status")` runs that command."""
    return Assay(capfd)
