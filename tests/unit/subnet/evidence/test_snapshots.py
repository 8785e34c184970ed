"""Which metagraph an entry used, of the last ones that were written down."""

from __future__ import annotations

import pytest

from subnet.evidence.entries.entry import Entry
from subnet.evidence.findings import Finding, Verdict
from subnet.evidence.records import ROUND, RULES, SNAPSHOT, NeuronRecord, RoundRecord, SnapshotRecord, rules_record
from subnet.evidence.replay import Replayer
from subnet.evidence.snapshots import KEPT, Snapshots
from subnet.game.sampling import Sampling
from subnet.types import Label, Modality


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


@pytest.mark.parametrize(("behind", "verdict"), [(64, Verdict.UNPROVEN), (65, Verdict.FALSE)])
def test_a_round_behind_all_states(behind: int, verdict: Verdict) -> None:
    """Many small changes make a journal forget the metagraph of an old block: who says so much later hides whom it asked."""
    row = NeuronRecord(uid=0, hotkey="a", coldkey="c", stake=0.0, permit=False, serves=True)
    snapshots = [SnapshotRecord(netuid=34, block=500, size=1, whole=True, rows=(row,))]
    for number in range(KEPT):
        changed = row.model_copy(update={"stake": 1.0 + number})
        snapshots.append(SnapshotRecord(netuid=34, block=1000 - number, size=1, whole=False, rows=(changed,)))
    rules = rules_record(34, "v", Sampling(), vpermit_tao_limit=1000.0, min_answers=0)
    played = RoundRecord(
        number=0,
        block=1000 - behind,
        modality=Modality.IMAGE,
        label=Label.REAL,
        origin="here",
        level=0,
        seed=1,
        provenance=None,
        void="the pool is empty",
        outcomes=(),
    )
    written = [(RULES, rules), *((SNAPSHOT, snapshot) for snapshot in snapshots), (ROUND, played)]
    player, told = Replayer(), list[Finding]()
    for seq, (kind, record) in enumerate(written, 1):
        told = player.take(Entry(seq, kind, record.model_dump_json(), ""))
    about = (
        "behind snapshots up to block 1000" if verdict is Verdict.FALSE else "who was asked: no rules or no snapshot"
    )
    assert [finding.verdict for finding in told if about in finding.text] == [verdict]
