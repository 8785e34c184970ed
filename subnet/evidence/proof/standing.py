"""Whether other weights stood on chain, between the settings, than those that the journal tells of.

Who sets weights knows the claims' own blocks beforehand. So it is looked one block earlier, too, and in a block between
that follows from a later one's hash: nobody can prepare for it, and everybody looks at the same one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from subnet.chain.weights import normalise_u16
from subnet.errors import ChainError
from subnet.evidence.claim import CommitmentClaim, WeightsClaim
from subnet.evidence.findings import Finding, Verdict
from subnet.protocols import Chain
from subnet.types import U16

BEHIND: Final = 8  # blocks that a validator's view of the chain may be behind it, at most
Rows = Mapping[int, int]


async def look(
    chain: Chain, uid: int | None, commitments: Sequence[CommitmentClaim], settings: Sequence[WeightsClaim]
) -> dict[int, Rows | None]:
    """The weights that stood in each block looked at, None where a node does not tell; `uid` where none is claimed."""
    blocks = {c.record.block - back for c in commitments if c.record.block for back in (0, 1)}
    for claim in settings:
        blocks |= {claim.began - 1}
        if claim.settled is not None:
            blocks |= {claim.settled - 1, await _between(chain, claim.block + BEHIND, claim.settled)}
    standing = dict[int, Rows | None]()
    for block in sorted(block for block in blocks if block > 0):
        mine = next((c.uid for c in reversed(settings) if c.began <= block), settings[0].uid if settings else uid)
        try:
            standing[block] = None if mine is None else await chain.weights(mine, at=block)
        except ChainError:
            standing[block] = None
    return standing


async def _between(chain: Chain, first: int, last: int) -> int:
    digits = await chain.block_hash(last)
    return min(last, first + int(digits or "0x0", 16) % max(1, last - first))


def compare(
    looks: Mapping[int, Rows | None], settings: Sequence[WeightsClaim], limit: int, sealed: bool
) -> Iterator[Finding]:
    """Name what stood and is not of this evidence. `limit` and `sealed` are the chain's rules for weights."""
    told = [(block, rows) for block, rows in sorted(looks.items()) if rows is not None]
    first, forms = told[0][1] if told else {}, {c.seq: became(c.weights, limit) for c in settings}
    false = set[int]()
    for block, rows in told:
        sent = [c for c in settings if c.began <= block]
        seq = sent[-1].seq if sent else 0
        definite = [n for n, c in enumerate(sent) if c.sure and c.block + BEHIND <= block]
        may = sent[definite[-1] :] if definite and not sealed else sent
        if any(not c.refused and rows in forms[c.seq] for c in reversed(may)):
            continue
        if rows == first and (sealed or not definite):
            if rows:
                what = ", ".join(f"uid {uid}: {share}" for uid, share in sorted(rows.items())[:8])
                yield _unproven(seq, f"weights on chain: none of this evidence stand there, but older ones ({what})")
        elif any(c.refused and rows in forms[c.seq] for c in sent):
            yield _unproven(seq, "weights on chain: those stand there that the journal says were refused")
        elif seq not in false:
            false.add(seq)
            yield Finding(seq, f"other weights stood on chain in block {block} than the journal tells of")


def became(weights: Mapping[int, float], limit: int) -> list[dict[int, int]]:
    """What `weights` can look like on chain; nothing for weights that it does not take."""
    try:
        return [normalise_u16(weights, max_weight_limit=most) for most in (U16, limit)]
    except ValueError:
        return []


def _unproven(seq: int, text: str) -> Finding:
    return Finding(seq, text, Verdict.UNPROVEN)
