"""Which entries each commitment binds: those up to the one whose hash it names. Pure.

A validator commits when no round is under way, and names the journal's last entry. So the rounds of the epoch that ends
lie at or before that entry, and so does everything up to the commitment before. What lies between the named entry and
the commitment's own was written while it was under way, and is bound by the next one.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from typing import Final

from subnet.errors import StateError
from subnet.evidence.entries.entry import BEGINNING, Entry
from subnet.evidence.findings import Finding, Verdict, unproven
from subnet.evidence.records import COMMITMENT, ROUND, SETTING, WEIGHTS, CommitmentRecord, RoundRecord
from subnet.printing import excerpt

HEADS: Final = 65536  # entries before a commitment among which the one that it names is looked for
AHEAD: Final = 8  # blocks that a validator's view may be ahead of the chain, after a fork
BEHIND: Final = 64  # blocks that may pass before anything is recorded, and a snapshot be behind a commitment
OTHER_CHAIN: Final = (
    "no journal is of two chains; where the chain was reset, move the state away and begin a new one: nothing behind "
    "this can be proven"
)


def check_one_chain(entry: Entry, highest: int) -> int:
    """The highest block up to `entry`, where it was `highest` before it.

    Raises StateError at a commitment that stands far below what was recorded before it.
    """
    if entry.kind not in (ROUND, SETTING, WEIGHTS, COMMITMENT):
        return highest
    block = json.loads(entry.body).get("block")
    if not isinstance(block, int):
        return highest
    if entry.kind == COMMITMENT and block < highest - BEHIND:
        raise StateError(f"entry {entry.seq} is of block {block}, entries before it of {highest}: {OTHER_CHAIN}")
    return max(block, highest)


class Binding:
    """Follows entries, and holds every commitment against those that came before it."""

    def __init__(self) -> None:
        self._heads = deque[str](maxlen=HEADS)
        self._bound = 0  # the entry that the last commitment named
        self._round = 0  # the last round with a committed seed
        self._standing: tuple[int, CommitmentRecord] | None = None
        self._loose: list[int] = []  # rounds and settings behind the bound entry
        self._blocks: list[tuple[int, int]] = []  # entries and blocks that no earlier one exceeds
        self._plain: list[int] = []  # rounds without an epoch, while a commitment stands, that need a reason
        self._reason = ""
        self._newest: int | None = None  # block of anything before
        self.latest = (0, 0)  # block and entry

    def end_entry(self, digest: str) -> None:
        """An entry is complete, whatever it was."""
        self._heads.append(digest)

    def begin_run(self) -> None:
        """The rules were written: a validator was started."""
        self._reason = "a start, before a commitment of this run stood"

    def mark(self, seq: int, block: int) -> Iterator[Finding]:
        """A round, a setting or weights that are said to be of `block`."""
        yield from self._leap(seq, block)
        self._loose.append(seq)
        self.latest = max(self.latest, (block, seq))
        if self._standing and (not self._blocks or block > self._blocks[-1][1]):
            self._blocks.append((seq, block))

    def _leap(self, seq: int, block: int) -> Iterator[Finding]:
        """Whoever says that all is of one block, until it must be of another, has the metagraph stand still."""
        if self._newest is not None and block > self._newest + BEHIND:
            told = f"over {BEHIND} passed without a record, or what was recorded before is of later ones than it says"
            yield unproven(seq, f"blocks: {told}")
        self._newest = block if self._newest is None else max(block, self._newest)

    def seed(self, seq: int, played: RoundRecord) -> Iterator[Finding]:
        """A round with a committed seed or without one."""
        if played.epoch is not None:
            yield from self._unexplained(self._plain)
            self._round, self._reason, self._plain = seq, "", []
            stands = self._standing[1].block if self._standing else None
            if stands is not None and played.block < stands - BEHIND:
                yield unproven(seq, f"the metagraph: it is older by over {BEHIND} blocks than the commitment before")
        elif self._standing is None:
            yield unproven(seq, "plans: the seed was not committed")
        elif self._reason:
            yield unproven(seq, f"plans: the seed was not committed, after {self._reason}")
        else:
            self._plain.append(seq)

    def commit(self, seq: int, record: CommitmentRecord) -> Iterator[Finding]:
        """A commitment, also one that was refused: it was sent under way all the same, behind the entry it names."""
        wrong, stands = self._names(seq, record), record.block is not None
        sent = seq if wrong and not stands else record.seq
        if wrong:  # one of an earlier run, which was restored without its last entries, excuses nothing
            verdict = Verdict.UNPROVEN if self._reason and not stands else Verdict.FALSE
            yield Finding(seq, f"commitment {record.epoch} names {wrong}", verdict)
        yield from self._unexplained([at for at in self._plain if at <= sent])
        behind, self._plain = [at for at in self._plain if at > sent], []
        yield from (unproven(at, "plans: the seed was not committed, while the next was under way") for at in behind)
        if record.block is None:
            self._reason = f"the chain took no commitment ({excerpt(record.refused) or 'no reason'})"
            return
        yield from self._leap(seq, record.block)
        yield from self._ahead(record.seq, record.block, record.epoch)
        self._blocks = [(at, block) for at, block in self._blocks if at > record.seq]
        self._loose = [at for at in self._loose if at > record.seq]
        self._standing, self._bound, self._reason = (seq, record), record.seq, ""

    def _ahead(self, until: int, stands: int, epoch: int) -> Iterator[Finding]:
        """Entries up to `until` that are said to be of blocks behind that in which the commitment behind them stands.

        Many blocks behind it, they are told at once: it is one reset of the chain, or one lie.
        """
        ahead = [(at, block) for at, block in self._blocks if at <= until and block > stands + AHEAD]
        before = f"but stood before commitment {epoch}'s"
        if ahead and ahead[-1][1] > stands + BEHIND:
            yield Finding(ahead[0][0], f"it is said to be of block {ahead[0][1]}, {before}, {stands}: {OTHER_CHAIN}")
        else:
            yield from (Finding(at, f"it is said to be of block {block}, {before}") for at, block in ahead)

    def end(self) -> Iterator[Finding]:
        """What no commitment binds, in a journal that has some."""
        yield from (unproven(at, "plans: the seed was not committed, and no commitment follows") for at in self._plain)
        loose = self._loose if self._standing else ()
        yield from (unproven(at, "that they were written then: no commitment names them yet") for at in loose)

    def _names(self, seq: int, record: CommitmentRecord) -> str:
        """What is wrong with the entry that a commitment names, "" for nothing."""
        place = len(self._heads) - (seq - record.seq)
        if place >= len(self._heads) or (place < 0 and record.seq != 0):
            return f"entry {record.seq}, which is not before it"
        if record.head != (self._heads[place] if record.seq else BEGINNING.hash):
            return f"another entry {record.seq} than this one"
        if record.seq < self._round:
            return f"entry {record.seq}, and so does not bind the epoch that it ends, up to entry {self._round}"
        if self._standing and record.seq < self._standing[0]:
            return f"entry {record.seq}, and so does not bind the one before it, entry {self._standing[0]}"
        return ""

    def _unexplained(self, rounds: list[int]) -> Iterator[Finding]:
        epoch = self._standing[1].epoch if self._standing else 0
        for at in rounds:
            yield Finding(at, f"its seed is no committed one, though commitment {epoch} stood and nothing says why not")
