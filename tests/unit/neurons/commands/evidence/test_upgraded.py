"""A journal that an older version began: what it could not prove is unproven, and nobody goes back to its ways."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neurons.commands.evidence.verify import check
from subnet.chain.memory import MemoryChain
from subnet.errors import ChainError
from subnet.evidence.entries.entry import Entry
from subnet.evidence.findings import Verification
from subnet.evidence.proof.claims import LATE
from subnet.evidence.proof.depot import Depot, publish
from subnet.evidence.records import COMMITMENT, DEPARTED, ROUND, RULES, SETTING, WEIGHTS, RulesRecord
from subnet.types import Statement
from tests.unit.neurons.commands.evidence.rig import VALIDATOR, Body, Story, rewritten, tell
from tests.unit.neurons.commands.evidence.test_forgers import false, found, planned, rows, unproven


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    told = tell(tmp_path_factory.mktemp("upgraded-story"))
    asyncio.run(told.subnet.advance(LATE + 20))
    return told


def old(entry: Entry, body: Body) -> Body | None:
    """As schema 2 wrote it, or None for what it did not write."""
    if entry.kind not in (ROUND, WEIGHTS, DEPARTED):
        return None
    body = {name: value for name, value in body.items() if name not in ("epoch", "item", "attempt")}
    for row in body.get("outcomes", ()):
        row["nonce"], row["signature"] = None, ""
    return body


def verified(story: Story, entries: Sequence[Entry], folder: Path, *, pruned: bool = False) -> Verification:
    """What a stranger finds on the chain of `story`; a pruned one tells of now alone."""

    class Chain(MemoryChain):
        async def commitment(self, hotkey: str, *, at: int | None = None) -> Statement | None:
            if pruned and at is not None:
                raise ChainError("State already discarded")
            return await super().commitment(hotkey, at=at)

    depot = Depot(folder)
    publish(depot, entries, RulesRecord.model_validate_json(story.entries[0].body), None)
    return check(depot, lambda _: Chain(story.subnet, VALIDATOR.ss58_address), ThreadPoolExecutor(1))


def test_an_honest_upgrade(story: Story, tmp_path: Path) -> None:
    """Old entries first, then rules before the first commitment: the old ones are unproven, and nothing is false."""
    first = next(i for i, entry in enumerate(story.entries) if entry.kind == ROUND)
    before = Entry(0, ROUND, json.dumps(old(story.entries[first], json.loads(story.entries[first].body))), "")
    entries = planned([before, *story.entries[:first], *story.entries[first + 1 :]])
    assert [entry.kind for entry in entries[:2]] == [ROUND, RULES]
    result = found(story, entries, tmp_path)
    assert false(result) == ""
    assert "1: answers: schema 1 and 2 kept no signatures" in unproven(result)
    assert dict(result.proven)["epochs with a committed seed"] == len(rows(entries, COMMITMENT)) - 1


def later(entry: Entry, body: Body) -> Body | None:
    """The whole journal as schema 2 would have it, told as if it went on until long behind the first commitment."""
    told = old(entry, body)
    return None if told is None else {**told, "block": body["block"] + LATE}


def test_a_journal_without_commitments_of_a_hotkey_that_has_some(story: Story, tmp_path: Path) -> None:
    """The whole journal in the old way, although the hotkey had committed by then: false, at its newest entry."""
    entries = rewritten(story.entries, later)
    assert {entry.kind for entry in entries} == {ROUND, WEIGHTS}
    result = verified(story, entries, tmp_path / "old")
    newest = max(body["block"] for body in rows(entries, WEIGHTS))
    assert f"and is not in the evidence, which goes on to block {newest}" in false(result)
    told = verified(story, entries, tmp_path / "pruned", pruned=True)
    assert false(told) == ""
    assert "commitments on chain: the node keeps no state of their blocks" in unproven(told)


def test_evidence_from_before_the_first_commitment(story: Story, tmp_path: Path) -> None:
    """What was published before the hotkey committed stays as honest as it was."""

    def early(entry: Entry, body: Body) -> Body | None:
        told = old(entry, body)
        return None if told is None else {**told, "block": 12}

    assert false(verified(story, rewritten(story.entries, early), tmp_path)) == ""


def test_rules_and_commitments_left_out(story: Story, tmp_path: Path) -> None:
    """Rounds of schema 3 whose commitments are left out, and whose seed was chosen, go on behind those on chain."""

    def dropped(entry: Entry, body: Body) -> Body | None:
        if entry.kind == COMMITMENT:
            return None
        moved = {"block": body["block"] + LATE} if "block" in body else {}
        return {**body, **moved, **({"epoch": None, "seed": 5} if entry.kind == ROUND else {})}

    result = verified(story, planned(story.entries, dropped), tmp_path)
    assert "stands on chain since block" in false(result)


def test_the_old_ways_behind_the_rules(story: Story, tmp_path: Path) -> None:
    """Whoever plays by this version's rules does not go back: answers without signatures, weights without settings."""

    def unsigned(entry: Entry, body: Body) -> Body:
        for row in body.get("outcomes", ()):
            row["nonce"], row["signature"] = None, ""
        return body

    result = found(story, planned(story.entries, unsigned), tmp_path / "unsigned")
    assert "has no signature, though the rules name one" in false(result)

    def unset(entry: Entry, body: Body) -> Body | None:
        return None if entry.kind == SETTING else body

    result = verified(story, rewritten(story.entries, unset), tmp_path / "unset")
    assert "weights by uid alone, without a setting before them" in false(result)


def test_evidence_ahead_of_the_node(story: Story, tmp_path: Path) -> None:
    """A node that is behind proves nothing of blocks to come, and calls nobody a liar."""

    def ahead(entry: Entry, body: Body) -> Body | None:
        told = old(entry, body)
        return None if told is None else {**told, "block": body["block"] + 1000}

    result = verified(story, rewritten(story.entries, ahead), tmp_path)
    assert false(result) == ""
    assert f"the node asked is at block {story.subnet.block}" in unproven(result)
