"""Weights that are sealed first and open later: proven once they show, unproven until then."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neurons.commands.evidence.verify import check
from subnet.chain.memory import MemoryChain
from subnet.evidence.records import COMMITMENT, WEIGHTS
from tests.unit.neurons.commands.evidence.rig import EPOCHS, VALIDATOR, Story, checked, published, tell
from tests.unit.neurons.commands.evidence.test_forgers import false, unproven

STAND, FOLLOW = "settings of weights stand on chain", "settings of weights follow from the scores"
CLOSED = "weights on chain: sealed ones did not show open in any block looked at, or others opened with them"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("sealed-story"), sealed=True)


def test_sealed_weights_are_proven_after_the_reveal(story: Story, tmp_path: Path) -> None:
    """The last ones are not open yet when the evidence is first checked, and proven an epoch of the chain later."""
    last = [entry.seq for entry in story.entries if entry.kind == WEIGHTS][-1] - 1
    depot = published(story, story.entries, tmp_path, media=False)
    result = checked(story, depot)
    assert false(result) == ""
    assert dict(result.proven)[FOLLOW] == EPOCHS
    assert dict(result.proven)[STAND] == EPOCHS - 1
    assert f"{last}: {CLOSED}" in unproven(result)
    asyncio.run(story.subnet.advance(story.subnet.state.rules.tempo + 1))
    result = checked(story, depot)
    assert (false(result), dict(result.proven)[STAND]) == ("", EPOCHS)
    assert CLOSED not in unproven(result)


def test_others_that_open(story: Story, tmp_path: Path) -> None:
    """What opens and is none of the settings is false, sealed or not."""
    depot = published(story, story.entries, tmp_path, media=False)
    since = [json.loads(entry.body)["block"] for entry in story.entries if entry.kind == WEIGHTS][1]

    class Elsewhere(MemoryChain):
        async def weights(self, uid: int, *, at: int | None = None) -> dict[int, int]:
            return {2: 65535} if at is None or at > since else await super().weights(uid, at=at)

    result = check(depot, lambda _: Elsewhere(story.subnet, VALIDATOR.ss58_address), ThreadPoolExecutor(1))
    assert "other weights stood on chain in block" in false(result)
    assert dict(result.proven)[STAND] < EPOCHS


def test_what_opens_behind_the_end_of_the_evidence(story: Story, tmp_path: Path) -> None:
    """Weights that the journal does not reach are no business of it: a publication is older than the chain's head."""
    seqs = [entry.seq for entry in story.entries if entry.kind == COMMITMENT]
    result = checked(story, published(story, story.entries[: seqs[2]], tmp_path, media=False))
    assert false(result) == ""
