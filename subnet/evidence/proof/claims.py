"""What the chain says about a journal's commitments and weights: the questions, and what the answers prove. Pure.

`gather` alone asks. What a node does not tell, for instance because it keeps no old states, stays unproven.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from subnet.errors import ChainError
from subnet.evidence.claim import CommitmentClaim, WeightsClaim
from subnet.evidence.findings import Finding, Verdict
from subnet.evidence.proof.standing import compare, look, stands
from subnet.evidence.records import CommitmentRecord
from subnet.game.epochs import Commitment, dump, parse
from subnet.protocols import Chain
from subnet.types import U16, Statement


@dataclass(frozen=True)
class ChainFacts:
    """What a node told, by block; what is not in a mapping it did not tell. `now` is the hotkey's last commitment."""

    commitments: Mapping[int, Statement | None] = field(default_factory=dict)
    hashes: Mapping[int, str | None] = field(default_factory=dict)
    weights: Mapping[int | None, Mapping[int, int]] = field(default_factory=dict)  # None: those of now
    now: Statement | None = None
    looks: Mapping[int, Mapping[int, int] | None] = field(default_factory=dict)  # weights between; None: not told
    sealed: bool = False  # weights are committed first and open later
    max_weight_limit: int = U16


async def gather(
    chain: Chain, hotkey: str, commitments: Sequence[CommitmentClaim], settings: Sequence[WeightsClaim]
) -> ChainFacts:
    """Ask a node all that `judge` compares. Raises ChainError when it cannot be reached at all."""
    snapshot = await chain.snapshot()
    rules, me = snapshot.hyperparameters, snapshot.neuron(hotkey)
    stood, hashes, standing = dict[int, Statement | None](), dict[int, str | None](), dict[int | None, dict[int, int]]()
    for claim in commitments:
        block = claim.record.block or 0
        for at in (block - 1, block):
            try:
                stood[at] = await chain.commitment(hotkey, at=at)
            except ChainError:
                continue
        hashes[block + 1] = await chain.block_hash(block + 1)
    for setting in settings:
        try:
            standing[setting.settled] = await chain.weights(setting.uid, at=setting.settled)
        except ChainError:
            continue
    now = await chain.commitment(hotkey)
    looks = await look(chain, me.uid if me else None, commitments, settings)
    return ChainFacts(stood, hashes, standing, now, looks, rules.commit_reveal, rules.max_weight_limit)


def judge(
    facts: ChainFacts, commitments: Sequence[CommitmentClaim], settings: Sequence[WeightsClaim], proven: Counter[str]
) -> Iterator[Finding]:
    """Compare claims with facts; `proven` counts what agrees."""
    before: CommitmentRecord | None = None
    for claim in commitments:
        wrong = list(_commitment(facts, claim, before))
        proven["commitments stand on chain"] += not wrong
        yield from wrong
        before = claim.record
    yield from _later(facts, before)
    between = compare(facts.looks, settings, facts.max_weight_limit, facts.sealed)
    settings = [setting for setting in settings if not setting.refused]
    told = list(_settings(facts, settings, proven))
    yield from told
    false = {finding.seq for finding in told if finding.verdict is Verdict.FALSE}
    yield from (finding for finding in between if finding.seq not in false)


def _settings(facts: ChainFacts, settings: Sequence[WeightsClaim], proven: Counter[str]) -> Iterator[Finding]:
    for number, setting in enumerate(settings):
        if setting.settled is None and number < len(settings) - 1:
            yield _unproven(setting.seq, "weights on chain: others were sent before they could be looked for")
        elif setting.settled not in facts.weights:
            yield _unproven(setting.seq, "weights on chain: the node keeps no state of their blocks")
        elif _stands(facts, setting, facts.weights[setting.settled]):
            proven["settings of weights stand on chain"] += 1
        else:
            yield from _other_weights(facts, setting, settings[:number])


def line_of(record: CommitmentRecord) -> str:
    """What must stand on chain."""
    return dump(Commitment(record.epoch, record.commitment, record.revealed, record.head, record.seq))


def number_of(statement: Statement | None) -> int | None:
    """Which epoch a hotkey has committed to on chain; None for nothing, and for what is of another kind."""
    try:
        return None if statement is None else parse(statement.text).number
    except ValueError:
        return None


def _commitment(facts: ChainFacts, claim: CommitmentClaim, before: CommitmentRecord | None) -> Iterator[Finding]:
    record, block = claim.record, claim.record.block or 0
    try:
        line = line_of(record)
    except ValueError:
        return  # told where the journal is replayed
    if block not in facts.commitments or block - 1 not in facts.commitments:
        yield _unproven(claim.seq, "commitments on chain: the node keeps no state of their blocks")
    else:
        there, earlier = facts.commitments[block], facts.commitments[block - 1]
        if there is None or (there.text, there.block) != (line, block):
            other = f"there stands {there.text!r} since block {there.block}" if there else "nothing stands there"
            yield Finding(claim.seq, f"commitment {record.epoch} does not stand on chain in block {block}: {other}")
        else:
            yield from _earlier(claim, earlier, before)
    known = facts.hashes.get(block + 1)
    if known is None:
        yield _unproven(claim.seq, f"the hash of block {block + 1}: the node does not tell it")
    elif known != record.block_hash:
        yield Finding(claim.seq, f"the hash of block {block + 1} is {known}, not {record.block_hash}")


def _earlier(claim: CommitmentClaim, stood: Statement | None, before: CommitmentRecord | None) -> Iterator[Finding]:
    """What stood until then must be the commitment before: its very line, in its block."""
    epoch, number = claim.record.epoch, number_of(stood)
    if before is None and number is not None and number == epoch - 1:
        yield _unproven(claim.seq, f"the journal begins with commitment {epoch}: what was before is not in it")
    elif before is None and stood is not None and number is None:
        yield _unproven(
            claim.seq, f"what stood before commitment {epoch}: {_printable(stood.text)} since {stood.block}"
        )
    elif number != (before.epoch if before else None):
        due = f"epoch {before.epoch}" if before else "nothing"
        what = f"before commitment {epoch} the chain had committed epoch {number}, the evidence {due}"
        yield Finding(claim.seq, f"{what}: an epoch is left out")
    elif before and stood and (stood.text, stood.block) != (line_of(before), before.block):
        what = f"before commitment {epoch} another one of epoch {number} stood, since block {stood.block}"
        yield Finding(claim.seq, f"{what}: a seed was tried in between")


def _printable(text: str) -> str:
    return ascii(text[:60])


def _later(facts: ChainFacts, last: CommitmentRecord | None) -> Iterator[Finding]:
    now, known = number_of(facts.now), last.epoch if last else -1
    if now is not None and now > known:
        first = max(known, 0)
        epochs = f"epoch {first}" if now - 1 <= first else f"epochs {first}-{now - 1}"
        yield _unproven(0, f"{epochs} ended on chain, and the evidence does not hold them yet")


def _other_weights(facts: ChainFacts, setting: WeightsClaim, earlier: Sequence[WeightsClaim]) -> Iterator[Finding]:
    here = facts.weights[setting.settled]
    first = next((rows for _, rows in sorted(facts.looks.items()) if rows is not None), {})
    before = not here or here == first or any(_stands(facts, other, here) for other in earlier)
    if before and not setting.sure:
        return  # it was sent, and never came to stand
    if setting.settled is None:
        yield _unproven(setting.seq, "weights on chain: later ones stand there by now")
    elif before and facts.sealed:
        yield _unproven(setting.seq, "weights on chain: sealed ones were not open when the next ones were set")
    else:
        yield Finding(setting.seq, f"other weights stand on chain in block {setting.settled} than the journal says")


def _stands(facts: ChainFacts, setting: WeightsClaim, rows: Mapping[int, int]) -> bool:
    return stands(setting.weights, rows, facts.max_weight_limit)


def _unproven(seq: int, text: str) -> Finding:
    return Finding(seq, text, Verdict.UNPROVEN)
