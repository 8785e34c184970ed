"""Everything that the rules say of a journal's entries, computed again, one entry after another. Pure.

Scores, departures, the metagraph, void rounds, plans (once their epoch's secret is revealed), and weights. What the
entries alone cannot show goes on as claims: commitments and weights to be compared with the chain. Miners' signatures
are checked beside it (`subnet.evidence.proof.signatures`), and what each was sent by `subnet.evidence.proof.variants`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from subnet.errors import JournalBroken
from subnet.evidence.binding import AHEAD, BEHIND, Binding
from subnet.evidence.claim import Claims, CommitmentClaim, Metagraphs, Sent, Settings
from subnet.evidence.entries.entry import Entry
from subnet.evidence.findings import Finding, Verdict, unproven
from subnet.evidence.nonces import Nonces
from subnet.evidence.planning import NOBODY, Epochs, check_asked, check_rows, check_void, judge_again, planned
from subnet.evidence.records import (
    COMMITMENT,
    DEPARTED,
    MAX_NEURONS,
    ROUND,
    RULES,
    SETTING,
    SNAPSHOT,
    WEIGHTS,
    CommitmentRecord,
    DepartedRecord,
    RoundRecord,
    RulesRecord,
    SettingRecord,
    SnapshotRecord,
    WeightsRecord,
    load_sampling,
    read_record,
)
from subnet.evidence.rules import differences, smoothing_of
from subnet.evidence.snapshots import Rows, Snapshots
from subnet.game.history import History, begin_averages
from subnet.game.places import HUNDRED, Clusters, Places, share_uids
from subnet.game.sampling import Sampling, eligible
from subnet.game.scoring import SMOOTHING, Smoothing, evidence, retain, settle, weights
from subnet.printing import excerpt
from subnet.types import Hyperparameters, Neuron, Snapshot, Submission

HOTKEYS: Final = 4 * MAX_NEURONS  # with scores at one time
LEAPS: Final = 8  # clusters that are computed sooner than a hundred rounds after others


@dataclass
class Replayer:
    """Takes a journal's entries in order. After a false one it goes on from what was recorded."""

    history: History = History()
    rounds: int = 0
    void: int = 0
    attempts: int = 0  # to set weights
    next_round: int = 0  # behind the last one that was played
    proven: Counter[str] = field(default_factory=Counter)
    rules: RulesRecord | None = None
    played: RoundRecord | None = None  # the round of the last entry that was one; None where that did not read
    commitments: list[CommitmentClaim] = field(default_factory=list)
    metagraphs: Metagraphs = field(default_factory=Metagraphs)

    def __post_init__(self) -> None:
        self._sampling, self._smoothing, self._averages = Sampling(), SMOOTHING, False
        self._snapshots, self._epochs = Snapshots(), Epochs(self.proven)
        self._binding, self._places, self._clusterings = Binding(), Places(), 0
        self._sent, self._nonces = Settings(self._epochs.pay), Nonces()
        self._taken: tuple[SettingRecord | None, Clusters] = None, ()  # the last that the chain took
        self._open: tuple[SettingRecord, Clusters] | None = None  # under way, or refused
        self._netuids = set[int]()
        self._since: int | None = None  # block of the first snapshot
        self._enough = False  # answers stood behind weights in this run: newcomers stop none
        self._takes: dict[str, Callable[[Entry], Iterator[Finding]]] = {
            ROUND: self._round,
            DEPARTED: self._departed,
            WEIGHTS: self._weights,
            RULES: self._rules,
            SNAPSHOT: self._snapshot,
            SETTING: self._set,
            COMMITMENT: self._commitment,
        }

    def take(self, entry: Entry) -> list[Finding]:
        """What is wrong with `entry`, or cannot be proven of it or of those that it completes."""
        take = self._takes.get(entry.kind)
        try:
            if take is None:
                return [unproven(entry.seq, f"this version does not know entries of the kind {entry.kind!r}")]
            return list(take(entry))
        except JournalBroken as error:
            told = " ".join(str(error).split()).removeprefix(f"entry {entry.seq}").removeprefix(":")
            return [Finding(entry.seq, told.strip())]
        finally:
            self._binding.end_entry(entry.hash)

    def result(self) -> Replay:
        """What it came to so far."""
        counts = self.rounds, self.void, self.attempts, self.history, self.next_round
        return Replay(*counts, self._smoothing, *self._taken)

    @property
    def neurons(self) -> Rows:
        """The newest state of the metagraph, by uid."""
        return self._snapshots.rows

    @property
    def claims(self) -> Claims:
        """What only the chain can prove."""
        return Claims(self.commitments, self._sent.claims, self.metagraphs.claims, self._binding.latest)

    def end(self) -> list[Finding]:
        """What the entries that came leave open."""
        return [*self._epochs.end(), *self._binding.end(), *self._sent.end()]

    # -- rounds

    def _round(self, entry: Entry) -> Iterator[Finding]:
        self.played = None
        played = read_record(RoundRecord, entry)
        if len(self.history.standings.keys() | {row.hotkey for row in played.outcomes}) > HOTKEYS:
            raise JournalBroken(f"entry {entry.seq}: over {HOTKEYS:,} hotkeys would have scores, as on no subnet")
        self.played = played
        if played.number < self.next_round:
            yield Finding(entry.seq, f"round {played.number} comes after round {self.next_round - 1}")
        elif played.number > self.next_round:
            last = played.number - 1
            skipped = f"round {last} has" if last == self.next_round else f"rounds {self.next_round}-{last} have"
            yield unproven(entry.seq, f"{skipped} no record: the validator's own fault, or left out")
        yield from self._binding.mark(entry.seq, played.block)
        self.rounds, self.void = self.rounds + 1, self.void + bool(played.void)
        self.next_round = max(self.next_round, played.number + 1)
        judged = judge_again(entry.seq, played)
        yield from self._planned(entry, played)
        yield from check_void(entry.seq, played, judged)
        yield from check_rows(entry.seq, played, self._sampling if self.rules else None)
        yield from self._nonces.add(entry.seq, played)
        self.history = settle(self.history, [] if played.void else judged, self._smoothing)
        if not played.void:
            self._places.add(played.number, judged)
        yield from self._scores(entry, played)

    def _planned(self, entry: Entry, played: RoundRecord) -> Iterator[Finding]:
        neurons, rules = self._snapshots.at(played.block), self.rules
        miners: tuple[Neuron, ...] | None = None
        if rules is not None and neurons is not None:
            snapshot = Snapshot(rules.netuid, played.block, neurons, _UNUSED)
            miners = tuple(eligible(snapshot, self.history, rules.hotkey, rules.vpermit_tao_limit))
        if rules is not None or played.epoch is not None:
            yield from self._binding.seed(entry.seq, played)
            yield from self._epochs.plan(played.epoch, planned(entry.seq, played, self._sampling, miners))
        if rules is None or neurons is None or miners is None:
            yield self._unplanned(entry, played)
            return
        if left := sorted(self.history.standings.keys() - {n.hotkey for n in neurons}):
            yield Finding(entry.seq, f"{len(left)} keep scores though they left the subnet, first {left[0]}")
        self.metagraphs.play(entry.seq, played.block, neurons, rules.vpermit_tao_limit)
        yield from check_asked(entry.seq, played, self._sampling, miners)
        if played.void == NOBODY and miners:
            yield Finding(entry.seq, f"{played.void!r} is said, but {len(miners)} miners could be asked")

    def _unplanned(self, entry: Entry, played: RoundRecord) -> Finding:
        """A round of a block whose metagraph is not here; there is one of every block since the first snapshot's."""
        if self.rules and self._since is not None and played.block < self._since - AHEAD:
            return Finding(entry.seq, f"it is said to be of block {played.block}, before the first snapshot's")
        if self.rules and played.block < (newest := self._snapshots.newest) - BEHIND:
            return Finding(
                entry.seq, f"it is said to be of block {played.block}, behind snapshots up to block {newest}"
            )
        return unproven(entry.seq, "who was asked: no rules or no snapshot are recorded")

    def _scores(self, entry: Entry, played: RoundRecord) -> Iterator[Finding]:
        wrong = {}
        standings = self.history.standings
        for row in played.outcomes:
            computed = standings[row.hotkey].score if row.hotkey in standings else 0.0
            if row.score == computed:
                continue
            wrong[row.hotkey] = self.history[row.hotkey]._replace(score=row.score)
            yield Finding(entry.seq, f"{row.hotkey} has the score {row.score}, the rules give {computed}")
        name = "scores of uncommitted rounds" if played.epoch is None else "scores"
        self.proven[name] += len(played.outcomes) - len(wrong)
        if wrong:
            self.history = History({**self.history.standings, **wrong})

    def _departed(self, entry: Entry) -> Iterator[Finding]:
        record = read_record(DepartedRecord, entry)
        what = f"{len(record.hotkeys)} are said to have left, but no snapshot tells of block {record.block}"
        if self.rules and self._snapshots.at(record.block) is None:
            yield Finding(entry.seq, what) if self._snapshots.rows else unproven(entry.seq, what)
        neurons = self._snapshots.rows.values()
        if never := sorted(set(record.hotkeys) - self.history.standings.keys()):
            verdict = Verdict.FALSE if self.rules else Verdict.UNPROVEN
            yield Finding(entry.seq, f"{len(never)} are said to have left who had no score, first {never[0]}", verdict)
        for hotkey in sorted({n.hotkey for n in neurons}.intersection(record.hotkeys)):
            yield Finding(entry.seq, f"{hotkey} is said to have left, but it is in the metagraph")
        self.history = retain(self.history, frozenset(self.history.standings) - set(record.hotkeys))

    # -- rules, metagraph, weights

    def _rules(self, entry: Entry) -> Iterator[Finding]:
        rules = read_record(RulesRecord, entry)
        before = self.rules
        if before is not None and (before.netuid, before.hotkey) != (rules.netuid, rules.hotkey):
            yield Finding(entry.seq, f"the journal of {before.hotkey} goes on as {rules.hotkey}'s")
        yield from (unproven(entry.seq, text) for text in differences(before, rules))
        self._binding.begin_run()
        self._enough = False
        self._sampling, self.rules = load_sampling(entry, rules.sampling), rules
        self._smoothing = smoothing_of(entry, rules)
        yield from self._one_subnet(entry)
        if rules.averaging and not self._averages:  # what older versions played counts by its scores
            self._averages, self.history = True, begin_averages(self.history)

    def _snapshot(self, entry: Entry) -> Iterator[Finding]:
        record = read_record(SnapshotRecord, entry)
        self._snapshots.add(entry, record)
        self._netuids.add(record.netuid)
        yield from self._one_subnet(entry)
        self._since = record.block if self._since is None else self._since
        if self.rules and (neurons := self._snapshots.at(record.block)):
            yield from self.metagraphs.claim(entry.seq, record.block, neurons, self.rules.vpermit_tao_limit)

    def _one_subnet(self, entry: Entry) -> Iterator[Finding]:
        if self.rules and (others := sorted(self._netuids - {self.rules.netuid})):
            yield Finding(entry.seq, f"the metagraph is of subnet {others[0]}, the rules are of {self.rules.netuid}")
            self._netuids = {self.rules.netuid}

    def _set(self, entry: Entry) -> Iterator[Finding]:
        record = read_record(SettingRecord, entry)
        neurons = self._snapshots.at(record.block)
        if self.rules is None or neurons is None:
            raise JournalBroken(f"entry {entry.seq}: weights without the rules and the snapshot that they follow from")
        yield from self.metagraphs.claim(entry.seq, record.block, neurons, self.rules.vpermit_tao_limit)
        yield from self._binding.mark(entry.seq, record.block)
        behind = evidence(self.history, neurons, self.rules.vpermit_tao_limit)
        self._enough = self._enough or behind >= self.rules.min_answers
        if not self._enough:
            yield unproven(entry.seq, "why weights were set: the median miner has fewer answers than min_answers")
        yield from self._follow(entry, record, neurons)
        uids = {n.hotkey: n.uid for n in neurons}
        sent = {uids[h]: w for h, w in record.weights.items() if h in uids}
        yield from self._sent.begin(Sent(entry.seq, record, sent, uids.get(self.rules.hotkey)))

    def _follow(self, entry: Entry, record: SettingRecord, neurons: tuple[Neuron, ...]) -> Iterator[Finding]:
        """Whether weights follow from the scores."""
        self._open = record, ()
        if self.rules is None:
            return
        computed = weights(self.history, neurons, self.rules.vpermit_tao_limit, self._smoothing)
        if self.rules.share_places:
            self._clusterings += self._places.known is None
            if self._clusterings > LEAPS + self.rounds // HUNDRED:
                yield unproven(entry.seq, "weights: numbers of rounds leap so often that no clusters were computed")
                return
            clusters = self._places.clusters()
            self._open = record, clusters
            computed = share_uids(computed, neurons, clusters)
        hotkeys = {n.uid: n.hotkey for n in neurons}
        wanted = {hotkeys[uid]: weight for uid, weight in computed.items()}
        if wanted == record.weights:
            self.proven["settings of weights follow from the scores"] += 1
            return
        wrong = sorted(h for h in {*wanted, *record.weights} if wanted.get(h) != record.weights.get(h))
        said, due = record.weights.get(wrong[0], 0.0), wanted.get(wrong[0], 0.0)
        yield Finding(entry.seq, f"weights of {len(wrong)} differ: {wrong[0]} has {said}, the scores give {due}")

    def _weights(self, entry: Entry) -> Iterator[Finding]:
        record = read_record(WeightsRecord, entry)
        self.attempts += 1
        if record.submission is Submission.OK and self._open and self._open[0].attempt == record.attempt:
            self._taken, self._open = self._open, None
        yield from self._binding.mark(entry.seq, record.block)
        yield from self._sent.outcome(entry.seq, record, Verdict.FALSE if self.rules else Verdict.UNPROVEN)

    # -- commitments

    def _commitment(self, entry: Entry) -> Iterator[Finding]:
        record = read_record(CommitmentRecord, entry)
        told = list(self._binding.commit(entry.seq, record))
        yield from told
        if record.block is None:
            why = excerpt(record.refused) or "no reason"
            yield unproven(entry.seq, f"seeds: the chain took no commitment ({why})")
            return
        self._sent.settle(record.block)
        yield from self.metagraphs.commit(record)
        self.proven["commitments name the journal's head"] += all(finding.seq != entry.seq for finding in told)
        self.commitments.append(CommitmentClaim(entry.seq, record))
        if self.rules is None:
            raise JournalBroken(f"entry {entry.seq}: a commitment before any rules")
        yield from self._epochs.reveal(entry.seq, record, self.rules.netuid, self.rules.hotkey)


_UNUSED = Hyperparameters(0, 0)


@dataclass(frozen=True)
class Replay:
    """What came of computing everything again."""

    rounds: int
    void: int
    weights: int  # attempts to set them
    history: History
    next_round: int = 0  # behind the last one that was played
    smoothing: Smoothing = SMOOTHING
    setting: SettingRecord | None = None  # the last one that the chain took
    clusters: Clusters = ()  # that shared a place in it


def replay(entries: Iterable[Entry]) -> Replay:
    """Play recorded rounds through the rules again. Raises JournalBroken at the first entry that is false."""
    player = Replayer()
    for entry in entries:
        for finding in player.take(entry):
            if finding.verdict is Verdict.FALSE:
                raise JournalBroken(f"entry {finding.seq}: {finding.text}")
    return player.result()
