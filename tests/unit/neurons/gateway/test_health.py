"""What /health says, the metric says too, and both are what requests are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neurons.gateway.service import SILENCE
from neurons.gateway.store.database import TABLES
from subnet.types import Neuron
from tests.unit.neurons.gateway.rig import VALIDATOR, Answer, Rig, picture


async def told(rig: Rig) -> list[str]:
    """The faults, with which status and metric agree."""
    answer = await rig.get("/health", key="")
    faults = answer.json["faults"]
    assert isinstance(faults, list)
    assert (answer.status, answer.json["ok"]) == ((503, False) if faults else (200, True))
    assert rig.api.metrics.registry.get_sample_value("assay_gateway_ready") == float(not faults)
    return faults


async def test_records_that_cannot_be_used(rig: Rig) -> None:
    """Those that can be read but not written: told within one look, and until they can be used again."""
    database, service = rig.api.keys._database, rig.api.service
    for setting, faults in (("ON", ["the gateway's own records cannot be used"]), ("OFF", [])):
        with database.reading() as db:
            db.execute(f"PRAGMA query_only = {setting}")
        await service.refresh()
        assert await told(rig) == faults
        assert (await rig.post(picture(True))).status == (503 if faults else 200)


@pytest.mark.parametrize("table", TABLES)
async def test_a_table_that_is_gone(rig: Rig, table: str) -> None:
    """Each of them is needed."""
    rig.working.cancel()
    with rig.api.keys._database.writing() as db:
        db.execute(f"DROP TABLE {table}")
    await rig.api.service.refresh()
    assert await told(rig) == ["the gateway's own records cannot be used"]


def changed(rig: Rig, **changes: object) -> list[Neuron]:
    """Neurons of the newest snapshot with changes: the validator's permit, the miners' endpoints."""
    assert rig.view.snapshot is not None
    asker = VALIDATOR.ss58_address
    neurons = rig.view.snapshot.neurons
    return [replace(n, **changes) if ("permit" in changes) == (n.hotkey == asker) else n for n in neurons]  # type: ignore[arg-type]


async def test_whom_no_miner_answers(rig: Rig) -> None:
    """A hotkey whose permit is gone, or that is, and a subnet on which nobody serves: nobody is asked, and why is
    said."""
    whole = rig.view.snapshot
    assert whole is not None
    gone = [n for n in whole.neurons if n.hotkey != VALIDATOR.ss58_address]
    for neurons, words, kind in (
        (changed(rig, permit=False), "permit", "not-ready"),
        (gone, "permit", "not-ready"),
        (changed(rig, endpoint=None), "no miner serves", "no-answer"),
    ):
        rig.view.snapshot = replace(whole, neurons=tuple(neurons))
        (fault,) = await told(rig)
        assert words in fault
        assert words in (await rig.post(picture(True))).problem(503, kind)
    assert not any(miner.asked for miner in rig.miners)
    rig.view.snapshot = whole
    assert await told(rig) == []


async def test_miners_that_all_fail(rig: Rig) -> None:
    """From the first file that nobody answered until one is answered, or for a minute: then the next may tell."""

    async def failing() -> Answer:
        for miner in rig.miners:
            miner.broken = True
        return await rig.post(picture(True))

    assert "miners asked gave an answer" in (await failing()).problem(503, "no-answer")
    assert await told(rig) == ["no miner answered about the last file"]
    for miner in rig.miners:
        miner.broken = False
    assert (await rig.post(picture(True))).status == 200
    assert await told(rig) == []
    await failing()
    assert await told(rig)
    rig.api.service._unanswered -= SILENCE
    assert await told(rig) == []
