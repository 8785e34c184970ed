"""A gateway that ends while files are in work."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from subnet.types import Reply
from subnet.wire.dendrite import Dendrite
from tests.unit.neurons.gateway.rig import gateway, picture


class Silent(Dendrite):
    """Asks, and never hears."""

    def __init__(self, begun: asyncio.Event) -> None:
        self.begun = begun

    async def ask(self, asks: object, deadline: float) -> list[Reply]:
        self.begun.set()
        await asyncio.Event().wait()
        return []


async def test_files_in_work_are_a_problem(tmp_path: Path, journal: Path, caplog: pytest.LogCaptureFixture) -> None:
    """503 as every problem is, with the request's id and a time to come back; the quota has it back."""
    begun = asyncio.Event()
    async with gateway(tmp_path, journal, wrap=lambda _: Silent(begun)) as rig:
        asked = asyncio.create_task(rig.post(picture(True), X_Request_Id="mine-3"))
        await asyncio.wait_for(begun.wait(), 20)
        with caplog.at_level(logging.ERROR):
            await rig.server.stop()
        answer = await asked
        assert "stopping" in answer.problem(503, "not-ready")
        assert answer.headers["x-request-id"] == "mine-3"
        assert not caplog.records
        assert [key.spent for key in rig.api.keys.all()] == [0]
