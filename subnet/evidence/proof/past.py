"""Whether the metagraph was what a journal says, and weights were sent when it says: the chain's own old states.

`look_back` alone asks, at most `ASKED` blocks: all of them while there are fewer, and then those in which the metagraph
is said to have changed before others, in an order that follows from a later block's hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from subnet.chain.receipts import ERA_BLOCKS
from subnet.errors import ChainError
from subnet.evidence.binding import BEHIND as STALE
from subnet.evidence.claim import CommitmentClaim, MetagraphClaim, WeightsClaim
from subnet.evidence.findings import Finding, Verdict
from subnet.evidence.proof.questions import Questions
from subnet.evidence.proof.standing import BEHIND
from subnet.evidence.snapshots import Role, roles_of
from subnet.types import Snapshot

ASKED: Final = 200  # blocks
NEAR: Final = 2  # blocks: after a fork a row may be as it stood so much earlier or later
MOVED: Final = "the metagraph: hotkeys or who counts as a validator changed, as recorded"
PRUNED: Final = "the metagraph: the node keeps no state of their blocks; use an archive node"


@dataclass(frozen=True)
class Past:
    """The subnet by block, None where a node does not tell; `asked` are the blocks of claims, `how` says which."""

    told: Mapping[int, Snapshot | None] = field(default_factory=dict)
    asked: Collection[int] = ()
    how: str = ""


async def look_back(
    questions: Questions,
    claims: Sequence[MetagraphClaim],
    commitments: Sequence[CommitmentClaim],
    settings: Sequence[WeightsClaim],
) -> Past:
    """Ask for the blocks of claims, and of what followed settings, the newest first."""
    moved = {block: False for setting in settings if (block := setting.settled) is not None}
    for claim in claims:
        moved[claim.block] = claim.moved or moved.get(claim.block, False)
    asked, how = await _drawn(questions, moved, commitments)
    told = dict[int, Snapshot | None]()
    for block in sorted(asked, reverse=True):
        told[block] = await _told(questions, block)
        if told[block] and any(_differences(c, told) for c in _distinct(claims, block)):
            for near in (block - NEAR, block + NEAR):
                told[near] = told.get(near) or await _told(questions, near)
    return Past(told, asked, how)


def _distinct(claims: Sequence[MetagraphClaim], block: int) -> Iterator[MetagraphClaim]:
    """The claims of `block` that say different things: thousands may say the same."""
    return iter({(id(claim.neurons), claim.limit): claim for claim in claims if claim.block == block}.values())


async def _drawn(
    questions: Questions, moved: Mapping[int, bool], commitments: Sequence[CommitmentClaim]
) -> tuple[Collection[int], str]:
    if len(moved) <= ASKED:
        return moved.keys(), ""
    later = max(moved) + BEHIND
    if commitments and commitments[-1].record.block:
        later = commitments[-1].record.block + 1
    digits = await questions.block_hash(later)
    order = {block: sha256(f"{digits} {block}".encode()).digest() for block in moved}
    drawn = sorted(moved, key=lambda block: (not moved[block], order[block]))[:ASKED]
    return drawn, f"the metagraph: asked for in {ASKED} of {len(moved):,} blocks, drawn by the hash of block {later}"


async def _told(questions: Questions, block: int) -> Snapshot | None:
    try:
        return await questions.snapshot(block)
    except ChainError:
        return None


def compare_metagraphs(past: Past, claims: Sequence[MetagraphClaim], proven: Counter[str]) -> Iterator[Finding]:
    """Name what differs from the chain; `proven` counts what agrees."""
    if past.how:
        yield Finding(0, past.how, Verdict.UNPROVEN)
    newest = 0
    differences = dict[tuple[int, int, float], list[str]]()  # of claims that say the same
    for claim in sorted(claims, key=lambda claim: claim.seq):
        if claim.block < newest - STALE:
            yield Finding(claim.seq, f"the metagraph of block {claim.block} is used behind that of block {newest}")
        newest = max(newest, claim.block)
        if past.told.get(claim.block) is None:
            if claim.block in past.asked:
                yield Finding(claim.seq, PRUNED, Verdict.UNPROVEN)
            if claim.moved:
                yield Finding(claim.seq, MOVED, Verdict.UNPROVEN)
        elif wrong := _known(differences, claim, past.told):
            more = f", and {len(wrong) - 1} rows more" if len(wrong) > 1 else ""
            yield Finding(claim.seq, f"the metagraph of block {claim.block} is not the chain's: {wrong[0]}{more}")
        else:
            proven["metagraphs of snapshots, settings and drawn rounds are the chain's"] += 1


def unasked(claims: Sequence[MetagraphClaim]) -> Iterator[Finding]:
    """What is to be said of them without a chain."""
    return (Finding(claim.seq, MOVED, Verdict.UNPROVEN) for claim in claims if claim.moved)


def _known(
    differences: dict[tuple[int, int, float], list[str]], claim: MetagraphClaim, told: Mapping[int, Snapshot | None]
) -> list[str]:
    key = claim.block, id(claim.neurons), claim.limit
    if key not in differences:
        differences[key] = _differences(claim, told)
    return differences[key]


def _differences(claim: MetagraphClaim, told: Mapping[int, Snapshot | None]) -> list[str]:
    """Rows that are not the chain's, neither in the claim's block nor near it."""
    here = told[claim.block]
    near = [told.get(claim.block + away) for away in (-NEAR, NEAR)]
    roles = [roles_of(snapshot.neurons, claim.limit) for snapshot in (here, *near) if snapshot]
    said = claim.roles
    uids = sorted({*said, *(roles[0] if roles else ())})
    wrong = [uid for uid in uids if said.get(uid) not in [there.get(uid) for there in roles]]
    return [f"uid {uid} {_told_apart(said.get(uid), roles[0].get(uid))}" for uid in wrong]


def _told_apart(said: Role | None, there: Role | None) -> str:
    if said is None or there is None:
        return "is not there on chain" if said else "is left out"
    if said.hotkey != there.hotkey:
        return f"is {said.hotkey}, on chain {there.hotkey}"
    words = {"permit": "a permit", "validator": "enough stake for a validator", "serves": "an endpoint"}
    name, what = next((name, what) for name, what in words.items() if getattr(said, name) != getattr(there, name))
    return f"({said.hotkey}) has {what}{', on chain not' if getattr(said, name) else ' on chain'}"


def compare_updates(
    past: Past, hotkey: str, settings: Sequence[WeightsClaim], proven: Counter[str]
) -> Iterator[Finding]:
    """Hold the block of the last weights, as the chain tells it, against those of the settings."""
    false = set[int]()
    for block, snapshot in sorted(past.told.items()):
        sent = [setting for setting in settings if setting.began <= block]
        me = snapshot.neuron(hotkey) if snapshot else None
        if me is None or not sent or me.last_update <= me.registered_at:
            continue
        due = next((c for c in reversed(sent) if c.sure and c.block + BEHIND <= block), None)
        if due and me.last_update < due.began:
            wrong = due.seq, f"the chain took no weights in block {due.block}: its last are of block {me.last_update}"
        elif me.last_update >= sent[0].began and not any(_may_be_of(c, me.last_update) for c in sent):
            last = next(c for c in reversed(sent) if c.began <= me.last_update)
            wrong = last.seq, f"weights were set in block {me.last_update}, which the journal does not tell of"
        else:
            proven["settings of weights are of the blocks that the journal says"] += sum(
                c.sure and c.settled == block and _may_be_of(c, me.last_update) for c in sent
            )
            continue
        if wrong[0] not in false:
            false.add(wrong[0])
            yield Finding(*wrong)


def _may_be_of(setting: WeightsClaim, block: int) -> bool:
    late = BEHIND if setting.sure or setting.refused else BEHIND + ERA_BLOCKS
    return setting.began <= block <= setting.block + late
