"""Which metagraph an entry used, of the last ones that were written down."""

from __future__ import annotations

from subnet.evidence.entries.entry import Entry
from subnet.evidence.records import NeuronRecord, SnapshotRecord
from subnet.evidence.snapshots import Snapshots


def written(*states: tuple[int, str]) -> Snapshots:
    """One miner, whose hotkey is another from one block to the next, in the order of entries."""
    snapshots = Snapshots()
    for seq, (block, hotkey) in enumerate(states, 1):
        row = NeuronRecord(uid=0, hotkey=hotkey, coldkey="c", stake=0.0, permit=False, serves=True)
        record = SnapshotRecord(netuid=34, block=block, size=1, whole=True, rows=(row,))
        snapshots.add(Entry(seq, "snapshot", "", ""), record)
    return snapshots


def who(snapshots: Snapshots, block: int) -> str | None:
    neurons = snapshots.at(block)
    return neurons[0].hotkey if neurons else None


def test_a_block_has_the_last_state_that_is_no_younger() -> None:
    """A round that is written behind a setting of a newer metagraph used the one before."""
    snapshots = written((10, "a"), (20, "b"))
    assert [who(snapshots, block) for block in (9, 10, 19, 20, 30)] == [None, "a", "a", "b", "b"]


def test_a_state_of_that_very_block_comes_first() -> None:
    """A node that lags told an older one while a round of the newer was under way: both are written down."""
    snapshots = written((10, "a"), (20, "b"), (15, "c"))
    assert [who(snapshots, block) for block in (10, 15, 20)] == ["a", "c", "b"]
    assert who(snapshots, 21) == "c"
    assert who(written((20, "a"), (20, "b")), 20) == "b"
