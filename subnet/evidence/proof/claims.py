"""What the chain says about a journal's commitments and weights: the questions, and what the answers prove. Pure.

`gather` alone asks. What a node does not tell, for instance because it keeps no old states, stays unproven.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from subnet.chain.receipts import ERA_BLOCKS
from subnet.errors import ChainError
from subnet.evidence.binding import AHEAD
from subnet.evidence.claim import Claims, CommitmentClaim, WeightsClaim
from subnet.evidence.findings import Finding, Verdict, unproven
from subnet.evidence.planning import UNUSED, left_out
from subnet.evidence.proof.gaps import excused, left_out_between
from subnet.evidence.proof.past import Past, compare_metagraphs, compare_updates, look_back
from subnet.evidence.proof.questions import MOST, Questions
from subnet.evidence.proof.standing import BEHIND, Form, compare, forms, look, places, stood_since, untaken
from subnet.evidence.records import CommitmentRecord
from subnet.game.epochs import Commitment, dump, parse
from subnet.protocols import Chain
from subnet.types import U16, Statement

FALSE: Final = 8  # commitments that do not stand on chain, after which no more are asked for
OTHERS: Final = 32  # lines of other programs between two commitments, as many as the chain has space for in an epoch
UNKNOWN: Final = "their outcome is said to be unknown"
UNTAKEN: Final = "they are said to be taken, and the chain's last ones are older: undone by a fork, or never sent"
LATE: Final = BEHIND + ERA_BLOCKS  # blocks after which a commitment that stands is in the journal, or left out of it


@dataclass(frozen=True)
class ChainFacts:
    """What a node told, by block; what is not in a mapping it did not tell. `now` is the hotkey's last commitment."""

    commitments: Mapping[int, Statement | None] = field(default_factory=dict)
    hashes: Mapping[int, str | None] = field(default_factory=dict)
    weights: Mapping[int | None, Mapping[int, int]] = field(default_factory=dict)  # None: those of now
    now: Statement | None = None
    hotkey: str = ""
    head: int = 0  # the block of now
    looks: Mapping[int, Mapping[int, int] | None] = field(default_factory=dict)  # weights between; None: not told
    past: Past = field(default_factory=Past)
    sealed: bool = False  # weights are committed first and open later
    untaken: Collection[int] = ()  # entries of settings that the chain took not, or not for good
    max_weight_limit: int = U16
    left: bool = False  # commitments that were not asked for, since others do not stand
    exhausted: bool = False  # more was to be asked than is


async def gather(chain: Chain, hotkey: str, claims: Claims) -> ChainFacts:
    """Ask a node all that `judge` compares. Raises ChainError when it cannot be reached at all."""
    questions = Questions(chain)
    snapshot = await questions.begin()
    rules = snapshot.hyperparameters
    past = await look_back(questions, claims.metagraphs, claims.commitments, claims.settings)
    sealed = rules.commit_reveal or any(s.hyperparameters.commit_reveal for s in past.told.values() if s)
    commitments, asked = await _stood(questions, hotkey, claims)
    weights = await _standing(questions, hotkey, claims.settings, sealed)
    lacking = () if sealed else await untaken(questions, hotkey, claims.settings, weights, rules.max_weight_limit)
    return ChainFacts(
        commitments=commitments,
        hashes={block: await questions.block_hash(block) for block in asked},
        weights=weights,
        now=await chain.commitment(hotkey),
        hotkey=hotkey,
        head=snapshot.block,
        looks=await look(questions, hotkey, claims.commitments, claims.settings),
        past=past,
        sealed=sealed,
        untaken=lacking,
        max_weight_limit=rules.max_weight_limit,
        left=len(asked) < len(claims.commitments),
        exhausted=questions.exhausted,
    )


async def _standing(
    questions: Questions, hotkey: str, settings: Sequence[WeightsClaim], sealed: bool
) -> dict[int | None, Mapping[int, int]]:
    """The weights that stood when the next ones were set, the newest first."""
    standing = dict[int | None, Mapping[int, int]]()
    for setting in reversed(settings):
        for at in (setting.settled, None) if sealed and setting is settings[-1] else (setting.settled,):
            rows = await stood_since(questions, hotkey, setting.began, at)
            if rows is not None:
                standing[at] = rows
    return standing


async def _stood(questions: Questions, hotkey: str, claims: Claims) -> tuple[dict[int, Statement | None], list[int]]:
    """The commitments that stood around each one that is claimed, and at the end of the evidence; and the blocks
    whose hashes are to be known. Where some do not stand, the others are not asked for.
    """
    stood, asked, false = dict[int, Statement | None](), list[int](), 0

    async def ask(at: int) -> None:
        with suppress(ChainError):
            stood[at] = await questions.commitment(hotkey, at)

    async def ask_back(at: int) -> None:
        await ask(at)
        for _, under in zip(range(OTHERS), _replaced(stood, at), strict=False):
            await ask(under)

    await ask_back(max(0, claims.latest[0] - LATE))
    for claim in reversed(claims.commitments):
        if false >= FALSE:
            break
        block = claim.record.block or 0
        await ask(block)
        await ask_back(block - 1)
        asked.append(block + 1)
        false += block in stood and not _is(stood[block], claim.record)
    return stood, asked


def _replaced(stood: Mapping[int, Statement | None], at: int) -> Iterator[int]:
    """Back from block `at`, over lines of other kinds: the block before each, in which stood what it replaced."""
    while (statement := stood.get(at)) is not None and number_of(statement) is None and statement.block <= at:
        at = statement.block - 1
        yield at


def judge(facts: ChainFacts, claims: Claims, proven: Counter[str]) -> Iterator[Finding]:
    """Compare claims with facts; `proven` counts what agrees."""
    before: CommitmentRecord | None = None
    for claim in claims.commitments:
        wrong = list(_commitment(facts, claim, before))
        proven["commitments stand on chain"] += not wrong
        yield from wrong
        before = claim.record
    if facts.exhausted:
        yield unproven(0, f"what is older: no more than {MOST:,} questions of a kind are asked, the newest first")
    yield from _later(facts, before)
    yield from _unrecorded(facts, claims, before)
    yield from compare_metagraphs(facts.past, claims.metagraphs, proven)
    everyone = [replace(s, sure=s.sure and s.seq not in facts.untaken) for s in claims.settings]
    last, first = left_out_between(claims.commitments, claims.settings)
    yield from excused(last, compare_updates(facts.past, facts.hotkey, everyone, proven))
    shown = {block: rows for block, rows in facts.weights.items() if block is not None}
    between = compare({**facts.looks, **shown}, everyone, facts.max_weight_limit, facts.sealed)
    settings = [setting for setting in everyone if not setting.refused]
    stood = _stood_since(facts, settings)
    told = list(excused(last, (_sealed if facts.sealed else _settings)(facts, settings, stood, proven)))
    yield from told
    yield from _unpaid(claims.commitments, settings, stood)
    false = {finding.seq for finding in told if finding.verdict is Verdict.FALSE}
    yield from excused(last | first, (finding for finding in between if finding.seq not in false))


def _stood_since(facts: ChainFacts, settings: Sequence[WeightsClaim]) -> set[int]:
    """The entries of settings whose weights stood in any block behind their own that was looked at."""
    shown = {facts.head if block is None else block: rows for block, rows in facts.weights.items()}
    newest: dict[Form, int] = {}
    for block, rows in {**facts.looks, **shown}.items():
        if rows is not None:
            form = frozenset(rows.items())
            newest[form] = max(block, newest.get(form, 0))
    limit = facts.max_weight_limit
    return {s.seq for s in settings if any(newest.get(form, 0) > s.block for form in forms(s.weights, limit))}


def _settings(
    facts: ChainFacts, settings: Sequence[WeightsClaim], stood: Collection[int], proven: Counter[str]
) -> Iterator[Finding]:
    known = places(settings, facts.max_weight_limit)
    oldest = next((rows for _, rows in sorted(facts.looks.items()) if rows is not None), {})
    for number, setting in enumerate(settings):
        if setting.settled is None and number < len(settings) - 1:
            yield unproven(setting.seq, "weights on chain: others were sent before they could be looked for")
            continue
        if setting.settled not in facts.weights:
            why = "the node keeps no state of their blocks, or their uid was another's by then"
            yield unproven(setting.seq, f"weights on chain: {why}")
            continue
        here = facts.weights[setting.settled]
        form = frozenset(here.items())
        if form in forms(setting.weights, facts.max_weight_limit):
            proven["settings of weights stand on chain"] += 1
        elif setting.sure or (here and here != oldest and known.get(form, [number])[0] >= number):
            yield _other_weights(setting)
        elif setting.seq not in stood:
            what = UNTAKEN if setting.seq in facts.untaken else UNKNOWN
            yield unproven(setting.seq, f"weights on chain: {what}, and they stand in no block looked at")


def _sealed(
    facts: ChainFacts, settings: Sequence[WeightsClaim], stood: Collection[int], proven: Counter[str]
) -> Iterator[Finding]:
    """Sealed weights are proven once they show open."""
    for setting in settings:
        if setting.seq in stood:
            proven["settings of weights stand on chain"] += 1
        else:
            what = "sealed ones did not show open in any block looked at, or others opened with them"
            yield unproven(setting.seq, f"weights on chain: {what}")


def _unpaid(
    commitments: Sequence[CommitmentClaim], settings: Sequence[WeightsClaim], stood: Collection[int]
) -> Iterator[Finding]:
    """Epochs that end without a setting that surely was sent: their outcomes are unknown, and none is in `stood`."""
    starts = [claim.seq for claim in commitments]
    paid: dict[int, bool] = {}
    for setting in settings:
        epoch = bisect_right(starts, setting.seq) - 1
        paid[epoch] = paid.get(epoch, False) or setting.sure or setting.seq in stood
    for epoch, start in enumerate(starts[:-1]):
        if not paid.get(epoch, True):
            yield unproven(start, f"{UNUSED} a setting of weights that is seen to stand")


def line_of(record: CommitmentRecord) -> str:
    """What must stand on chain."""
    return dump(Commitment(record.epoch, record.commitment, record.revealed, record.head, record.seq))


def _is(stood: Statement | None, record: CommitmentRecord) -> bool:
    """Whether that commitment is what stood in its own block."""
    try:
        return stood is not None and (stood.text, stood.block) == (line_of(record), record.block)
    except ValueError:
        return False


def number_of(statement: Statement | None) -> int | None:
    """Which epoch a hotkey has committed to on chain; None for nothing, and for what is of another kind."""
    try:
        return None if statement is None else parse(statement.text).number
    except ValueError:
        return None


def _commitment(facts: ChainFacts, claim: CommitmentClaim, before: CommitmentRecord | None) -> Iterator[Finding]:
    record, block = claim.record, claim.record.block or 0
    try:
        line_of(record)
    except ValueError:
        return  # told where the journal is replayed
    if block not in facts.commitments or block - 1 not in facts.commitments:
        left = "they were not asked for, since others do not stand"
        why = left if facts.left else "the node keeps no state of their blocks"
        yield unproven(claim.seq, f"commitments on chain: {why}")
        if facts.left:
            return
    else:
        there, earlier = facts.commitments[block], facts.commitments[block - 1]
        if not _is(there, record):
            other = f"there stands {there.text!r} since block {there.block}" if there else "nothing stands there"
            yield Finding(claim.seq, f"commitment {record.epoch} does not stand on chain in block {block}: {other}")
        else:
            yield from _earlier(facts, claim, earlier, before)
    known = facts.hashes.get(block + 1)
    if known is None:
        yield unproven(claim.seq, f"the hash of block {block + 1}: the node does not tell it")
    elif known != record.block_hash:
        yield Finding(claim.seq, f"the hash of block {block + 1} is {known}, not {record.block_hash}")


def _earlier(
    facts: ChainFacts, claim: CommitmentClaim, stood: Statement | None, before: CommitmentRecord | None
) -> Iterator[Finding]:
    """What stood until then must be the commitment before: its very line, in its block.

    Lines of other programs may have taken its place since: what each of them replaced is looked at in the block before.
    """
    epoch = claim.record.epoch
    if before is not None and stood is not None and number_of(stood) is None:
        yield unproven(claim.seq, f"what stood before commitment {epoch}: {_printable(stood.text)} since {stood.block}")
        under = list(_replaced(facts.commitments, (claim.record.block or 0) - 1))
        if len(under) > OTHERS:
            yield Finding(
                claim.seq, f"before commitment {epoch} over {OTHERS} lines of another kind stood, which may hide any"
            )
            return
        if under[-1] not in facts.commitments:
            yield unproven(claim.seq, "commitments on chain: the node keeps no state of their blocks")
            return
        stood = facts.commitments[under[-1]]
    number = number_of(stood)
    if before is None and number is not None and number == epoch - 1:
        yield unproven(claim.seq, f"the journal begins with commitment {epoch}: what was before is not in it")
    elif before is None and stood is not None and number is None:
        yield unproven(claim.seq, f"what stood before commitment {epoch}: {_printable(stood.text)} since {stood.block}")
    elif before is not None and before.epoch + 1 < epoch == (number or 0) + 1:
        yield unproven(claim.seq, left_out(before.epoch, epoch))
    elif number != (before.epoch if before else None):
        due = f"epoch {before.epoch}" if before else "nothing"
        what = f"before commitment {epoch} the chain had committed epoch {number}, the evidence {due}"
        yield Finding(claim.seq, f"{what}: an epoch is left out")
    elif before and stood and (stood.text, stood.block) != (line_of(before), before.block):
        what = f"before commitment {epoch} another one of epoch {number} stood, since block {stood.block}"
        yield Finding(claim.seq, f"{what}: a seed was tried in between")


def _printable(text: str) -> str:
    return ascii(" ".join(text.split())[:60])


def _later(facts: ChainFacts, last: CommitmentRecord | None) -> Iterator[Finding]:
    now, known = number_of(facts.now), last.epoch if last else -1
    if now is not None and now > known:
        first = max(known, 0)
        epochs = f"epoch {first}" if now - 1 <= first else f"epochs {first}-{now - 1}"
        yield unproven(0, f"{epochs} ended on chain, and the evidence does not hold them yet")
    elif last and not _is(facts.now, last):
        stands = f"{_printable(facts.now.text)} since block {facts.now.block}" if facts.now else "nothing"
        yield unproven(0, f"what stands on chain now is not the last commitment of the evidence, but {stands}")


def _unrecorded(facts: ChainFacts, claims: Claims, last: CommitmentRecord | None) -> Iterator[Finding]:
    """Entries that go on behind a commitment on chain which they do not hold, as if nothing had been committed."""
    block, seq = claims.latest
    if block > facts.head + AHEAD:
        yield unproven(seq, f"blocks: it is said to be of block {block}, the node asked is at block {facts.head}")
        return
    late, known = max(0, block - LATE), last.epoch if last else -1
    *_, late = late, *_replaced(facts.commitments, late)
    if late not in facts.commitments:
        yield unproven(seq, "commitments on chain: the node keeps no state of their blocks")
        return
    stood, number = facts.commitments[late], number_of(facts.commitments[late])
    if stood and number is not None and number > known:
        what = f"commitment {number} stands on chain since block {stood.block}"
        yield Finding(seq, f"{what}, and is not in the evidence, which goes on to block {block}")


def _other_weights(setting: WeightsClaim) -> Finding:
    if setting.settled is None:
        return unproven(setting.seq, "weights on chain: later ones stand there by now")
    return Finding(setting.seq, f"other weights stand on chain in block {setting.settled} than the journal says")
