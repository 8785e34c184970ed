"""An empty journal of a hotkey that the chain knows: its scores lie elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurons.validator.low_water import check_known
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.errors import StateError
from subnet.evidence.journal import Journal


async def test_an_empty_state_of_a_known_hotkey_is_refused(tmp_path: Path) -> None:
    """Unless told so, once weights stand; before them, and with any entry, it is fine."""
    neurons = (GenesisNeuron("v", "v", 5000.0), GenesisNeuron("m", "m"))
    subnet = MemorySubnet(Genesis(34, neurons, Rules(tempo=5, weights_rate_limit=0)))
    await subnet.advance(3)
    chain, journal = MemoryChain(subnet, "v"), Journal(tmp_path / "journal.db")
    check_known(await chain.snapshot(), "v", journal)
    await chain.set_weights({1: 1.0})
    await subnet.advance()
    snapshot = await chain.snapshot()
    with pytest.raises(StateError, match=r"set weights in block .*journal\.db is empty.*--neuron\.forward"):
        check_known(snapshot, "v", journal)
    check_known(snapshot, "v", journal, forward=True)
    check_known(snapshot, "m", journal)
    journal.append("fact", "{}")
    check_known(snapshot, "v", journal)
    journal.close()
