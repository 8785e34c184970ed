"""What OpenAPI promises, tried by schemathesis where it is installed."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.neurons.gateway.rig import Rig


@pytest.mark.slow
async def test_nothing_answers_against_its_schema(rig: Rig) -> None:
    """Made-up requests of every operation: no status, type or body that is not promised, and no 500."""
    schemathesis = pytest.importorskip("schemathesis")
    schema = schemathesis.openapi.from_url(f"{rig.url}/openapi.json")

    def run() -> int:
        count = 0
        for result in schema.get_all_operations():
            for _ in range(20):
                case = result.ok().as_strategy().example()
                case.call_and_validate(headers={"Authorization": f"Bearer {rig.key}"})
                count += 1
        return count

    assert await asyncio.to_thread(run) >= 60
