"""Whether rounds were planned by the seed that their epoch's commitment binds, and what in them cannot be. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import median
from sys import intern
from typing import Final

from subnet.errors import JournalBroken, SettingsError
from subnet.evidence.findings import Finding, unproven
from subnet.evidence.records import MAX_NEURONS, CommitmentRecord, RoundRecord, outcomes
from subnet.game.epochs import Commitment, break_between, epoch_seed
from subnet.game.sampling import Sampling, asked_real, is_twin_round, plan
from subnet.game.scoring import is_void
from subnet.types import Label, Neuron, Outcome

UNHEARD, NOBODY = "nobody was heard", "nobody to ask"  # why the rules make a round void

UNUSED: Final = "seeds: epochs that ended, so that their seeds were known and not used, without"


MOST: Final = 2**22  # hotkeys of rounds that wait for their secret, 32 MiB; an epoch of 144 rounds has 10,000
_FIELDS: Final = ("modality", "label", "origin", "level", "seed")


def left_out(last: int, now: int) -> str:
    """What is said of a commitment `now` that follows commitment `last` in a journal."""
    epochs = f"epoch {last + 1} is" if now == last + 2 else f"epochs {last + 1}-{now - 1} are"
    return f"{epochs} not in the journal: what was played and paid then is not proven"


@dataclass(frozen=True, slots=True)
class Planned:
    """What of a round must be as its epoch's seed gives, and what that follows from beside the seed.

    It is kept until the seed is known, so it is small: hotkeys of all rounds are the same strings.
    """

    seq: int
    number: int
    said: tuple[object, ...]  # the values of `_FIELDS`
    asked: tuple[str, ...]
    sampling: Sampling
    miners: tuple[str, ...] | None  # who could be asked; None where the metagraph of its block is not known


def planned(seq: int, played: RoundRecord, sampling: Sampling, miners: Sequence[Neuron] | None) -> Planned:
    """What is kept of a round."""
    asked = tuple(intern(row.hotkey) for row in played.outcomes)
    could = None if miners is None else tuple(intern(miner.hotkey) for miner in miners)
    said = tuple(getattr(played, name) for name in _FIELDS)
    return Planned(seq, played.number, said, asked, sampling, could)


class Epochs:
    """Follows commitments; the rounds of an epoch wait until its secret is revealed."""

    def __init__(self, proven: Counter[str]) -> None:
        """`proven` counts what holds."""
        self._proven = proven
        self._rounds: list[tuple[int, int]] = []  # commitments whose epochs ended, and how many rounds those had
        self._paid = False  # whether weights were set since the last commitment
        self._last: tuple[int, CommitmentRecord, Commitment] | None = None
        self._waiting: list[Planned] = []
        self._hotkeys = 0  # of those that wait
        self._count = 0  # rounds of the epoch that runs

    def pay(self) -> None:
        """Weights were set, or may have been."""
        self._paid = True

    def plan(self, epoch: int | None, planned: Planned) -> Iterator[Finding]:
        """Take in a round that is said to be of `epoch`."""
        current = self._last[1].epoch if self._last else None
        if epoch is None:
            return  # `subnet.evidence.binding` asks why
        if epoch != current:
            stands = "no commitment stands" if current is None else f"commitment {current} stands"
            yield Finding(planned.seq, f"round {planned.number} is said to be of epoch {epoch}, but {stands}")
            return
        self._count += 1
        if self._waiting and self._waiting[-1].miners == planned.miners:
            planned = replace(planned, miners=self._waiting[-1].miners)  # one tuple for all
        else:
            self._hotkeys += len(planned.miners or ())
        self._hotkeys += len(planned.asked)
        if self._hotkeys > MOST:
            yield unproven(planned.seq, f"plans: epoch {epoch} is so long that its last rounds were not kept")
        else:
            self._waiting.append(planned)

    def reveal(self, seq: int, record: CommitmentRecord, netuid: int, hotkey: str) -> Iterator[Finding]:
        """A commitment stands: check the plans of the epoch that it ends."""
        try:
            said = Commitment(record.epoch, record.commitment, record.revealed, record.head, record.seq)
        except ValueError as error:
            yield Finding(seq, str(error))
            return
        before, waiting, count = self._last, self._waiting, self._count
        self._waiting, self._hotkeys, self._count = [], 0, 0
        if before:
            yield from self._unused(before[0], count)
        self._paid = False
        self._last = seq, record, said
        if before and said.number > before[2].number + 1 and said.seq >= before[2].seq:
            yield from _unrevealed(waiting, before[2].number)
            yield unproven(seq, left_out(before[2].number, said.number))
            return
        broken = break_between(before[2] if before else None, said, netuid, hotkey)
        if before is None and record.epoch > 0:
            yield unproven(seq, f"the journal begins with commitment {record.epoch}: what was before is not in it")
            return
        if broken and before and record.revealed is None and record.epoch == before[1].epoch + 1:
            yield from _unrevealed(waiting, before[1].epoch)
            yield unproven(seq, broken)
        elif broken:
            yield Finding(seq, broken)
        elif before and record.revealed is not None:
            yield from self._check(before, waiting, bytes.fromhex(record.revealed), netuid, hotkey)

    def _check(
        self,
        before: tuple[int, CommitmentRecord, Commitment],
        waiting: Sequence[Planned],
        secret: bytes,
        netuid: int,
        hotkey: str,
    ) -> Iterator[Finding]:
        """Hold the rounds of an epoch against the seed that follows from its secret."""
        self._proven["epochs with a committed seed"] += bool(waiting)
        if before[1].block_hash is None:
            yield Finding(before[0], f"commitment {before[1].epoch} stands, but no block's hash is recorded for it")
            return
        seed = epoch_seed(secret, before[1].block_hash, netuid, hotkey)
        for planned in waiting:
            wrong = _differs(seed, planned)
            self._proven["rounds planned by their epoch's seed"] += not wrong and planned.miners is not None
            if wrong:
                yield Finding(planned.seq, wrong)

    def _unused(self, seq: int, rounds: int) -> Iterator[Finding]:
        """An epoch ends: who ends many of them early may choose among seeds."""
        self._rounds.append((seq, rounds))
        if not rounds:
            yield unproven(seq, f"{UNUSED} a round")
        if not self._paid:
            yield unproven(seq, f"{UNUSED} a setting of weights")

    def end(self) -> Iterator[Finding]:
        """Epochs that were cut short, and rounds that still wait."""
        usual = median([count for _, count in self._rounds if count] or [0])
        for seq, count in self._rounds:
            if 0 < count < usual / 2:
                yield unproven(seq, "seeds: epochs that ended with less than half of the usual number of rounds")
        epoch = self._last[1].epoch if self._last else 0
        yield from (unproven(waiting.seq, f"plans: epoch {epoch} is not revealed yet") for waiting in self._waiting)


def _unrevealed(waiting: Sequence[Planned], epoch: int) -> Iterator[Finding]:
    return (unproven(each.seq, f"plans: epoch {epoch} was never revealed") for each in waiting)


def _differs(seed: int, planned: Planned) -> str:
    """What in a recorded round the seed does not give, "" for nothing."""
    try:
        due = plan(seed, planned.number, planned.sampling, [_neuron(hotkey) for hotkey in planned.miners or ()])
    except SettingsError as error:
        return f"no plan follows from the rules: {error}"
    given = [(name, said, getattr(due, name)) for name, said in zip(_FIELDS, planned.said, strict=True)]
    wrong = [f"{name} is {said}, not {wanted}" for name, said, wanted in given if said != wanted]
    if wrong:
        return f"round {planned.number} is not what its epoch's seed gives: {', '.join(wrong)}"
    if planned.asked and planned.miners is not None and planned.asked != due.hotkeys:
        return f"round {planned.number}: {_who(planned.asked, due.hotkeys)}"
    return ""


@lru_cache(maxsize=4 * MAX_NEURONS)
def _neuron(hotkey: str) -> Neuron:
    """A miner of whom nothing but its name matters."""
    return Neuron(0, hotkey, "", 0.0, permit=False, endpoint=None)


def judge_again(seq: int, played: RoundRecord) -> list[Outcome]:
    """The outcomes of a round. Raises JournalBroken where an answer is none that a miner can give."""
    try:
        return outcomes(played)
    except ValueError as error:
        raise JournalBroken(f"entry {seq} has an answer that no miner can give: {error}") from error


def check_void(seq: int, played: RoundRecord, judged: list[Outcome]) -> Iterator[Finding]:
    """A round is void by the rules, or by the validator's own fault, before anybody was asked; by nothing else."""
    due = UNHEARD if is_void(judged) else ""
    if judged and played.void != due:
        said = f"is void ({played.void[:80]!r})" if played.void else "is counted"
        why = (
            "though not one was heard, so it does not count" if due else "beside answers that were heard, so it counts"
        )
        yield Finding(seq, f"round {played.number} {said} {why}")
    elif due:
        yield unproven(seq, "void rounds in which nobody is said to have been heard: nobody signs that")
    elif not judged and not played.void:
        yield Finding(seq, f"round {played.number} counts without a single answer")
    elif not judged and played.void != NOBODY:
        yield unproven(seq, "void rounds by the validator's own fault")


def check_rows(seq: int, played: RoundRecord, sampling: Sampling | None) -> Iterator[Finding]:
    """What rows say that cannot be, whatever the seed; `sampling` is None before any rules."""
    asked = Counter(row.hotkey for row in played.outcomes)
    if twice := len(played.outcomes) - len(asked):
        yield Finding(seq, f"round {played.number}: {twice} are asked twice, first {asked.most_common(1)[0][0]}")
    for row in played.outcomes:
        if row.failure is not None and (row.p_synthetic is not None or row.signature):
            yield Finding(seq, f"{row.hotkey} is said to have failed, beside an answer of its own")
    if wrong := halves(played, sampling):
        yield Finding(seq, wrong)
    elif sampling and is_twin_round(played.seed, sampling) and all(row.label is None for row in played.outcomes):
        due = asked_real(played.seed, (row.hotkey for row in played.outcomes), sampling)
        told = "twin rounds that were asked as synthetic only, as where the original is not at hand"
        yield from [unproven(seq, told)] if due else ()


def check_asked(seq: int, played: RoundRecord, sampling: Sampling, miners: Sequence[Neuron]) -> Iterator[Finding]:
    """What no seed gives: another kind of challenge than the rules mix, or others than `miners`, or not as many."""
    if not sampling.origins.get((played.modality, played.label), {}).get(played.origin):
        kind = f"{played.label.name.lower()} {played.modality}"
        yield Finding(seq, f"round {played.number}: the rules have no {kind} of the origin {played.origin[:80]!r}")
    if not sampling.level_weights[played.level]:
        yield Finding(seq, f"round {played.number}: the rules have no level {played.level}")
    asked = [row.hotkey for row in played.outcomes]
    if others := sorted(set(asked) - {miner.hotkey for miner in miners}):
        yield Finding(seq, f"round {played.number}: {len(others)} were asked who are no miners then, first {others[0]}")
    due = min(sampling.sample_size, len(miners))
    if asked and len(asked) != due:
        yield Finding(seq, f"round {played.number}: {len(asked)} were asked, the rules ask {due}")


def halves(played: RoundRecord, sampling: Sampling | None) -> str:
    """What is wrong with who is said to have been asked the photograph of a twin round, "" for nothing.

    A label of one's own follows from the challenge's seed, so that nobody's can be turned round afterwards.
    """
    own = {row.hotkey for row in played.outcomes if row.truth(played.label) is not played.label}
    if not own:
        return ""
    if sampling is None or not is_twin_round(played.seed, sampling) or played.label is not Label.SYNTHETIC:
        return f"round {played.number} is no twin round, but {len(own)} have a label of their own, first {min(own)}"
    due = asked_real(played.seed, (row.hotkey for row in played.outcomes), sampling)
    if wrong := own ^ due:
        return f"round {played.number}: {len(wrong)} have the label of the other half, first {min(wrong)}"
    return ""


def _who(asked: tuple[str, ...], due: tuple[str, ...]) -> str:
    if missing := [h for h in due if h not in asked]:
        return f"{len(missing)} who had to be asked are missing, first {missing[0]}"
    if more := [h for h in asked if h not in due]:
        return f"{len(more)} are recorded who were not to be asked, first {more[0]}"
    return "those who were asked stand in another order than the seed gives, or twice"
