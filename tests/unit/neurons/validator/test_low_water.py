"""An empty journal of a hotkey that the chain knows: its scores lie elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurons.validator.low_water import check_known, check_owner
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.errors import StateError
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import RULES, RulesRecord, rules_record
from subnet.evidence.state import StateStore, check_whole
from subnet.game.sampling import Sampling
from subnet.types import Label, Modality


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


def rules(netuid: int, hotkey: str) -> RulesRecord:
    sampling = Sampling(origins={(Modality.IMAGE, label): {"here": 1.0} for label in Label}, video_share=0.0)
    return rules_record(netuid, hotkey, sampling, vpermit_tao_limit=0.0, min_answers=0, share_places=False)


def test_a_state_of_another_validator_is_refused(tmp_path: Path) -> None:
    """Another hotkey, or another subnet, before anything is written: its secrets would be lost to their owner."""
    journal = Journal(tmp_path / "journal.db")
    check_owner(journal, 34, "v")  # nothing is in it yet
    StateStore(journal).note(RULES, rules(34, "v"))
    check_owner(journal, 34, "v")
    for netuid, hotkey in ((34, "other"), (35, "v")):
        with pytest.raises(StateError, match=rf"state of hotkey v on subnet 34, and this is {hotkey} on {netuid}"):
            check_owner(journal, netuid, hotkey)
    assert journal.length == 1
    journal.close()


def test_a_journal_that_goes_on_as_anothers_is_not_whole(tmp_path: Path) -> None:
    """The chain of hashes is: whoever looks at a backup is told all the same."""
    journal = Journal(tmp_path / "journal.db")
    for hotkey in ("v", "other"):
        StateStore(journal).note(RULES, rules(34, hotkey))
    journal.close()
    with (
        JournalReader(journal.path) as reader,
        pytest.raises(StateError, match="the journal of v on subnet 34 goes on"),
    ):
        check_whole(reader)
