"""Whether other weights stood on chain, between the settings, than those that the journal tells of.

Who sets weights knows the claims' own blocks beforehand. So it is looked one block earlier, too, and in one block of
every gap between them that follows from a later one's hash: nobody can prepare for it, and everybody looks at the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import Final

from subnet.chain.weights import normalise_u16
from subnet.errors import ChainError
from subnet.evidence.claim import CommitmentClaim, WeightsClaim
from subnet.evidence.findings import Finding, unproven
from subnet.evidence.proof.questions import Questions
from subnet.types import U16

BEHIND: Final = 8  # blocks that a validator's view of the chain may be behind it, at most
UNLIKE: Final = 200  # settings, the newest first, of which it is asked whether the chain took them at all
Rows = Mapping[int, int]
Form = frozenset[tuple[int, int]]  # rows as they can be looked up


async def look(
    questions: Questions,
    hotkey: str,
    commitments: Sequence[CommitmentClaim],
    settings: Sequence[WeightsClaim],
) -> dict[int, Rows | None]:
    """The weights of `hotkey` that stood in each block looked at, None where a node does not tell, or it had no uid."""
    ends = sorted({c.record.block for c in commitments if c.record.block})
    blocks = {end - back for end in ends for back in (0, 1)}
    for claim in settings:
        blocks |= {claim.began - 1} if claim.settled is None else {claim.began - 1, claim.settled - 1}
    blocks |= await _between(questions, ends, settings)
    starts = sorted(claim.began for claim in settings)
    standing = dict[int, Rows | None]()
    for block in sorted((block for block in blocks if block > 0), reverse=True):
        place = bisect_right(starts, block)
        standing[block] = await stood_since(questions, hotkey, starts[place - 1] if place else block, block)
    return standing


async def stood_since(questions: Questions, hotkey: str, since: int, at: int | None) -> Rows | None:
    """The weights of `hotkey` in block `at`, or now; None where a node does not tell.

    Nor where it has not had its uid from block `since` on: those are somebody else's, or of before it was registered
    anew. Weights that it set after that are seen by the block of its last ones (`subnet.evidence.proof.past`).
    """
    try:
        tenure = await questions.tenure(hotkey, at)
        return await questions.weights(tenure.uid, at) if tenure and tenure.since <= since else None
    except ChainError:
        return None


async def untaken(
    questions: Questions,
    hotkey: str,
    settings: Sequence[WeightsClaim],
    standing: Mapping[int | None, Rows],
    limit: int,
) -> frozenset[int]:
    """The entries of settings that are said to be taken, where the chain's last weights are of before.

    A block that held them may have been undone by a fork. Whoever only says so could as well say that the chain refused
    them: neither is signed, and both leave older weights where they are.
    """
    entries, unlike = set[int](), 0
    for claim in reversed(settings):
        rows = standing.get(claim.settled)
        if (
            not claim.sure
            or claim.settled is None
            or rows is None
            or frozenset(rows.items()) in forms(claim.weights, limit)
        ):
            continue
        if (unlike := unlike + 1) > UNLIKE:
            break
        with suppress(ChainError):
            me = (await questions.snapshot(claim.settled)).neuron(hotkey)
            if me is not None and me.last_update < claim.began:
                entries.add(claim.seq)
    return frozenset(entries)


async def _between(questions: Questions, ends: Sequence[int], settings: Sequence[WeightsClaim]) -> set[int]:
    """A block of every gap between the settings and commitments, drawn by the block behind the commitment that ends it.

    Whoever commits cannot know that block's hash; whoever sets weights may choose among some that are known. Without a
    later commitment it is the end of the gap itself.
    """
    known = sorted({*ends, *(c.block for c in settings), *(c.settled for c in settings if c.settled is not None)})
    drawn = set[int]()
    for first, last in pairwise(known):
        place = bisect_left(ends, last)
        digits = await questions.block_hash(ends[place] + 1 if place < len(ends) else last)
        if last - first > 1:
            number = int(sha256(f"{digits} {first} {last}".encode()).hexdigest(), 16)
            drawn.add(first + 1 + number % (last - first - 1))
    return drawn


def compare(
    looks: Mapping[int, Rows | None], settings: Sequence[WeightsClaim], limit: int, sealed: bool
) -> Iterator[Finding]:
    """Name what stood and is not of this evidence. `limit` and `sealed` are the chain's rules for weights.

    Once a setting is seen to stand, neither earlier ones nor what stood before any of them come back.
    """
    told = [(block, rows) for block, rows in sorted(looks.items()) if rows is not None]
    first = told[0][1] if told else {}
    taken, refused = (places(settings, limit, refused=refused) for refused in (False, True))
    sent = _Newest((c.began, n) for n, c in enumerate(settings))
    definite = _Newest((max(c.began, c.block + BEHIND), n) for n, c in enumerate(settings) if c.sure)
    false, since = set[int](), -1  # the earliest setting that may still stand, -1 for what was before any
    for block, rows in told:
        seq, form = settings[sent.at(block)].seq if sent.at(block) >= 0 else 0, frozenset(rows.items())
        since = -1 if sealed else max(since, definite.at(block))
        if (place := _earliest(settings, taken.get(form, ()), since, block)) is not None:
            since = place
        elif rows == first and since < 0:
            if rows:
                what = ", ".join(f"uid {uid}: {share}" for uid, share in sorted(rows.items())[:8])
                yield unproven(seq, f"weights on chain: none of this evidence stand there, but older ones ({what})")
        elif (place := _earliest(settings, refused.get(form, ()), since, block)) is not None:
            since = place
            yield unproven(seq, "weights on chain: those stand there that the journal says were refused")
        elif seq not in false:
            false.add(seq)
            yield Finding(seq, f"other weights stood on chain in block {block} than the journal tells of")


def _earliest(settings: Sequence[WeightsClaim], alike: Sequence[int], since: int, block: int) -> int | None:
    """The first of the places `alike`, which rise, that is none before `since` and had begun by `block`."""
    return next((n for n in alike[bisect_left(alike, since) :] if settings[n].began <= block), None)


class _Newest:
    """The last of some claims that any block comes after: pairs of a block and the claim's place."""

    def __init__(self, pairs: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(pairs)
        self._blocks = [block for block, _ in ordered]
        self._places = list(accumulate((place for _, place in ordered), max))

    def at(self, block: int) -> int:
        """-1 for none."""
        number = bisect_right(self._blocks, block)
        return self._places[number - 1] if number else -1


def places(settings: Sequence[WeightsClaim], limit: int, *, refused: bool = False) -> dict[Form, list[int]]:
    """Which settings would stand on chain as these rows: those that are said to be `refused`, or the others."""
    found: dict[Form, list[int]] = {}
    for place, claim in enumerate(settings):
        for form in forms(claim.weights, limit) if claim.refused is refused else ():
            found.setdefault(form, []).append(place)
    return found


def forms(weights: Mapping[int, float], limit: int) -> set[Form]:
    """The rows of the chain that `weights` may become."""
    try:
        return {frozenset(normalise_u16(weights, max_weight_limit=most).items()) for most in (U16, limit)}
    except ValueError:
        return set()
