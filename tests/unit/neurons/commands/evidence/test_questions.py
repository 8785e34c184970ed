"""What the chain is asked about evidence, and what a validator hoped that nobody would ask."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from neurons.commands.evidence.verify import check
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.chain.weights import normalise_u16
from subnet.errors import ChainError
from subnet.evidence.claim import Claims, CommitmentClaim, WeightsClaim
from subnet.evidence.entries.entry import Entry
from subnet.evidence.findings import Verdict, Verification
from subnet.evidence.proof import claims as proof
from subnet.evidence.proof import questions
from subnet.evidence.proof.claims import gather
from subnet.evidence.proof.questions import Questions
from subnet.evidence.proof.standing import compare, look
from subnet.evidence.records import COMMITMENT, ROUND, SETTING, WEIGHTS, CommitmentRecord
from subnet.types import U16, Statement
from tests.unit.neurons.commands.evidence.rig import VALIDATOR, Body, Story, checked, published, tell
from tests.unit.neurons.commands.evidence.test_forgers import false, found, planned, rows, unproven

TEMPO = 364
MINE, OTHERS = {1: 65535, 3: 32768}, {2: 65535}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("asked-story"))


class Asked(MemoryChain):
    """A chain that counts what it is asked, and has as many blocks as `head`."""

    def __init__(self, story: Story, head: int = 10**6) -> None:
        super().__init__(story.subnet, VALIDATOR.ss58_address)
        self.head, self.asked = head, list[tuple[str, int | None]]()

    async def weights(self, uid: int, *, at: int | None = None) -> dict[int, int]:
        self.asked.append(("weights", at))
        return dict(self.standing(at))

    async def commitment(self, hotkey: str, *, at: int | None = None) -> Statement | None:
        self.asked.append(("commitment", at))
        return None

    async def block_hash(self, block: int) -> str | None:
        self.asked.append(("hash", block))
        return f"0x{block:064x}"

    def standing(self, at: int | None) -> Mapping[int, int]:
        return {}


def commitment(epoch: int, block: int) -> CommitmentClaim:
    record = CommitmentRecord(
        epoch=epoch, commitment="aa" * 32, revealed=None, head="aa" * 32, seq=1, block=block, block_hash="bb" * 32
    )
    return CommitmentClaim(epoch + 1, record)


async def test_weights_between_a_commitment_and_the_next_setting(story: Story) -> None:
    """Others stand from just behind each commitment to just before the next setting: a drawn block shows them."""
    sent = {1: 1.0, 3: 0.5}
    starts = [380 + TEMPO * k for k in range(4)]
    settings = [WeightsClaim(k, sent, at, settled=at + 5, began=at) for k, at in enumerate(starts)]
    ends = [commitment(k, at + 5) for k, at in enumerate(starts)]

    class Dishonest(Asked):
        def standing(self, at: int | None) -> Mapping[int, int]:
            assert at is not None
            epoch = (at - 380) % TEMPO
            return {} if at < 380 else MINE if epoch < 10 or epoch > TEMPO - 6 else OTHERS

    class Honest(Asked):
        def standing(self, at: int | None) -> Mapping[int, int]:
            return MINE if at and at >= 380 else {}

    assert normalise_u16(sent) == MINE
    for chain, wrong in ((Honest(story), 0), (Dishonest(story), 3)):
        asking = Questions(chain)
        await asking.begin()
        asking.head = chain.head
        looks = await look(asking, VALIDATOR.ss58_address, ends, settings)
        findings = list(compare(looks, settings, U16, sealed=False))
        assert len(findings) == wrong
        assert all("other weights stood on chain in block" in finding.text for finding in findings)


async def test_a_thing_is_asked_once_and_nothing_beyond_the_head(story: Story) -> None:
    """Sixty commitments of one block are one question each way, and of blocks to come none."""
    chain = Asked(story)
    many = [commitment(n, 5) for n in range(60)]
    await gather(chain, VALIDATOR.ss58_address, Claims(many))
    assert len(chain.asked) == len(set(chain.asked)) < 10
    chain.asked.clear()
    settings = [WeightsClaim(n, {1: 1.0}, n, settled=2**31 + n, began=2**31 + n) for n in range(60)]
    await gather(chain, VALIDATOR.ss58_address, Claims([commitment(n, 2**32 - 3 - n) for n in range(60)], settings))
    assert all(at is None or at <= story.subnet.block for _, at in chain.asked)


async def test_no_more_is_asked_where_commitments_do_not_stand(story: Story) -> None:
    """A few that are false are enough: the others are named, and the chain is left alone."""
    chain = Asked(story)
    blocks = range(5, story.subnet.block)
    many = Claims([commitment(n, block) for n, block in enumerate(blocks)])
    facts = await gather(chain, VALIDATOR.ss58_address, many)
    told = [finding.text for finding in proof.judge(facts, many, Counter[str]())]
    assert sum("does not stand on chain" in text for text in told) == proof.FALSE
    assert sum("were not asked for" in text for text in told) == len(blocks) - proof.FALSE


async def test_states_that_a_node_does_not_keep_are_asked_for_twice(story: Story) -> None:
    """Each costs a new connection, so older ones are not tried; another kind of question is."""

    class Pruned(Asked):
        async def weights(self, uid: int, *, at: int | None = None) -> dict[int, int]:
            await super().weights(uid, at=at)
            raise ChainError("State already discarded")

    chain = Pruned(story)
    settings = [WeightsClaim(n, {1: 1.0}, n, settled=n + 1, began=n) for n in range(10, story.subnet.block - 2)]
    await gather(chain, VALIDATOR.ss58_address, Claims((), settings))
    assert sum(kind == "weights" for kind, _ in chain.asked) == questions.ENOUGH


def test_more_questions_than_anybody_waits_for(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest are asked, and the report says that older ones were not."""
    monkeypatch.setattr(questions, "MOST", 3)
    depot = published(story, story.entries, tmp_path, media=False)
    result = check(depot, story.chain, ThreadPoolExecutor(1))
    assert false(result) == ""
    assert "what is older: no more than" in unproven(result)


def test_evidence_that_was_cut(story: Story, tmp_path: Path) -> None:
    """What stands on chain now is neither its last commitment nor a later one."""
    entries = planned(story.entries)
    third = [e.seq for e in entries if e.kind == COMMITMENT][2]
    cut, later = entries[:third], rows(entries, COMMITMENT)[-1]["block"]
    other = f"assay-epoch/1 2 {'dd' * 32} {'cc' * 32} {'aa' * 32} 9"
    named = "what stands on chain now is not the last commitment of the evidence, but"
    for place, text in enumerate(("hello\x1b[2J", other)):
        told = unproven(found(story, cut, tmp_path / str(place), committed=cut, besides=[(later, text)]))
        assert f"{named} {text[:60]!a}" in told
    assert named not in unproven(found(story, cut, tmp_path / "whole", committed=cut))


def test_settings_that_the_chain_is_said_to_have_refused(story: Story, tmp_path: Path) -> None:
    """The first weights stand for ever, and all later ones are said to be refused: each of these is named."""

    def refused(entry: Entry, body: Body) -> Body:
        return body | {"submission": "rejected"} if entry.kind == WEIGHTS and body["attempt"] > 0 else body

    entries = planned(story.entries, refused)
    sent = next((b["block"], {int(u): w for u, w in b["weights"].items()}) for b in rows(entries, WEIGHTS))
    result = found(
        story, entries, tmp_path, standing=lambda at: normalise_u16(sent[1]) if at is None or at >= sent[0] else {}
    )
    named = {finding.seq for finding in result.unproven if "that the chain refused weights" in finding.text}
    assert named == {e.seq for e in entries if e.kind == SETTING and json.loads(e.body)["attempt"] > 0}


def test_a_setting_that_is_answered_by_no_attempt(story: Story, tmp_path: Path) -> None:
    """An outcome of nothing does not make it go away."""

    def nothing(entry: Entry, body: Body) -> Body:
        if entry.kind == WEIGHTS and body["attempt"] == 1:
            body |= {"attempt": None, "weights": {}, "submission": "rejected"}
        return body

    entries = planned(story.entries, nothing)
    (seq,) = [e.seq for e in entries if e.kind == SETTING and json.loads(e.body)["attempt"] == 1]
    assert f"{seq}: weights that were set: nothing says what became of them" in unproven(
        found(story, entries, tmp_path, standing=lambda at: {})
    )


def test_epochs_whose_seeds_were_not_used(story: Story, tmp_path: Path) -> None:
    """Epochs without a round, without weights, or cut short let a validator choose among seeds: each is named."""
    starts = [e.seq for e in story.entries if e.kind == COMMITMENT]

    def within(entry: Entry, epoch: int) -> bool:
        return starts[epoch] < entry.seq < starts[epoch + 1]

    honest = found(story, planned(story.entries), tmp_path / "honest")
    assert "seeds: epochs that ended" not in unproven(honest)

    def without(*kinds: str, keep: int = 0) -> list[Entry]:
        dropped = [e for e in story.entries if within(e, 1) and e.kind in kinds][keep:]
        return planned([e for e in story.entries if e not in dropped])

    for name, entries in (
        ("without a round", without(ROUND)),
        ("without a setting of weights", without(SETTING, WEIGHTS)),
        ("with less than half of the usual number of rounds", without(ROUND, keep=1)),
    ):
        result = found(story, entries, tmp_path / name.replace(" ", "-"))
        (line,) = [f for f in result.unproven if "epochs that ended" in f.text]
        assert line.seq == [e.seq for e in entries if e.kind == COMMITMENT][1]
        assert line.text.endswith(name)
        counted = dict(result.proven)["epochs with a committed seed"]
        assert dict(honest.proven)["epochs with a committed seed"] - counted == (name == "without a round")


UNKNOWN = "weights on chain: their outcome is said to be unknown, and they stand in no block looked at"
UNUSED = "without a setting of weights that is seen to stand"


def ambiguous(entries: Sequence[Entry], since: int) -> tuple[list[Entry], list[int], list[tuple[int, dict[int, int]]]]:
    """A journal whose attempts from `since` on have no known outcome, the entries of those settings, and what was sent
    in which block.
    """

    def unknown(entry: Entry, body: Body) -> Body:
        return body | {"submission": "ambiguous"} if entry.kind == WEIGHTS and body["attempt"] >= since else body

    journal = planned(entries, unknown)
    seqs = [e.seq for e in journal if e.kind == SETTING and json.loads(e.body)["attempt"] >= since]
    sent = [(b["block"], normalise_u16({int(u): w for u, w in b["weights"].items()})) for b in rows(journal, WEIGHTS)]
    return journal, seqs, sent


def named(result: Verification, text: str) -> list[int]:
    return [finding.seq for finding in result.unproven if text in finding.text]


def test_settings_of_unknown_outcome_that_never_stood(story: Story, tmp_path: Path) -> None:
    """An outcome that is said to be unknown excuses nothing: each setting and epoch is named, whatever stands there."""
    for since, older in ((1, None), (0, {}), (0, {2: 65535})):
        entries, seqs, sent = ambiguous(story.entries, since)
        first = {} if older is None else older
        ever = sent[0][1] if older is None else older
        result = found(
            story,
            entries,
            tmp_path / f"{since}-{len(first)}",
            standing=lambda at, first=first, ever=ever, sent=sent: (
                first if at is not None and at < sent[0][0] else ever
            ),
        )
        assert false(result) == ""
        assert named(result, UNKNOWN) == seqs
        starts = [e.seq for e in entries if e.kind == COMMITMENT]
        assert named(result, UNUSED) == starts[since : since + len(seqs)]


def test_settings_of_unknown_outcome_that_the_chain_took(story: Story, tmp_path: Path) -> None:
    """They are proven as any others, and nothing is said of them."""
    entries, seqs, _ = ambiguous(story.entries, 0)
    result = found(story, entries, tmp_path)
    assert (false(result), named(result, UNKNOWN), named(result, UNUSED)) == ("", [], [])
    assert dict(result.proven)["settings of weights stand on chain"] == len(seqs)


def test_one_of_unknown_outcome_that_lands_late(story: Story, tmp_path: Path) -> None:
    """It is in no block of its own setting, and stands before the next one: neither false nor unused."""
    entries, seqs, sent = ambiguous(story.entries, 1)

    def late(at: int | None) -> Mapping[int, int]:
        stood = [weights for n, (block, weights) in enumerate(sent) if at is None or block + 5 * (n == 1) <= at]
        return stood[-1] if stood else {}

    result = found(story, entries, tmp_path, standing=late)
    assert (false(result), named(result, UNKNOWN), named(result, UNUSED)) == ("", [], [])
    assert len(seqs) == len(sent) - 1


def test_weights_that_a_fork_took_back(story: Story, tmp_path: Path) -> None:
    """The journal says that they were taken; the chain's last ones are of before. Where those are newer, it is false."""

    async def undone(epoch: int, subnet: MemorySubnet) -> None:
        if epoch == 1:
            subnet.finality_lag = 4
            subnet.fork(subnet.block - subnet.finality_lag)
            subnet.finality_lag = 0
            await subnet.advance(4)

    honest = tell(tmp_path / "story", between=undone)
    result = checked(honest, published(honest, honest.entries, tmp_path / "public", media=False))
    settings, starts = ([e.seq for e in honest.entries if e.kind == kind] for kind in (SETTING, COMMITMENT))
    assert false(result) == ""
    assert named(result, "undone by a fork, or never sent") == settings[1:2]
    assert named(result, UNUSED) == starts[1:2]

    sent = [
        (b["block"], normalise_u16({int(u): w for u, w in b["weights"].items()})) for b in rows(story.entries, WEIGHTS)
    ]
    kept = found(
        story,
        planned(story.entries),
        tmp_path / "older",
        standing=lambda at: {} if at is not None and at < sent[0][0] else sent[0][1],
    )
    assert f"{[e.seq for e in story.entries if e.kind == SETTING][1]}: other weights stand on chain" in false(kept)


@pytest.mark.parametrize(("since", "foreign"), [(0, False), (1, False), (0, True)])
def test_older_weights_that_come_back(story: Story, tmp_path: Path, since: int, foreign: bool) -> None:
    """Behind later ones that were seen to stand, whatever outcome is said of them, older ones cannot stand again."""
    entries, seqs, sent = ambiguous(story.entries, since)
    before, back = (OTHERS, OTHERS) if foreign else ({}, sent[0][1])

    def standing(at: int | None) -> Mapping[int, int]:
        if at is None or at >= sent[2][0]:
            return back
        return sent[1][1] if at >= sent[1][0] else back if at >= sent[0][0] else before

    result = found(story, entries, tmp_path, standing=standing)
    assert "other weights stood on chain in block" in false(result)
    assert set(seqs[-2:]) <= {*named(result, UNKNOWN), *(finding.seq for finding in result.false)}


@pytest.mark.parametrize("sure", [True, False])
def test_refused_weights_that_come_back(sure: bool) -> None:
    """What the journal says was refused may stand for a while, is named then, and does not stand behind later ones."""
    sent = [WeightsClaim(n, {1: 1.0, 2: (n + 1) / 8}, 10 + 20 * n, began=10 + 20 * n, sure=sure) for n in range(3)]
    settings = [replace(claim, sure=False, refused=True) if n == 1 else claim for n, claim in enumerate(sent)]
    one, two, three = (normalise_u16(claim.weights) for claim in sent)
    rising = {5: {}, 20: one, 40: two, 45: two, 60: three, 80: three}
    told = list(compare(rising, settings, U16, sealed=False))
    assert {finding.text for finding in told} == {
        "weights on chain: those stand there that the journal says were refused"
    }
    for back in (rising | {45: one}, rising | {80: two}, rising | {80: one}):
        wrong = [f for f in compare(back, settings, U16, sealed=False) if f.verdict is Verdict.FALSE]
        assert len(wrong) == 1
