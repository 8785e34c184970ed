"""The metagraph as the journal tells it: whole at first, then the rows that changed. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from sys import intern

from subnet.errors import JournalBroken
from subnet.evidence.entries.entry import Entry
from subnet.evidence.records import NeuronRecord, SnapshotRecord
from subnet.game.scoring import is_validator
from subnet.types import Endpoint, Neuron, Snapshot

Rows = Mapping[int, NeuronRecord]  # by uid
PUBLISHED = Endpoint("0.0.0.0", 1)  # stands for an endpoint that the journal does not name
KEPT = 8  # states; a round may be written after a setting that used a newer one


@dataclass(frozen=True)
class Role:
    """What decides whether a hotkey is asked and paid."""

    hotkey: str
    permit: bool
    validator: bool  # counts as one: a permit, and enough stake
    serves: bool


Roles = Mapping[int, Role]  # by uid


def roles_of(neurons: Iterable[Neuron], limit: float) -> Roles:
    """With validators as those of `limit` TAO and more."""
    return {n.uid: Role(n.hotkey, n.permit, is_validator(n, limit), n.endpoint is not None) for n in neurons}


def rows_of(snapshot: Snapshot) -> Rows:
    """What the game depends on, by uid."""
    return {
        n.uid: NeuronRecord(
            uid=n.uid,
            hotkey=n.hotkey,
            coldkey=n.coldkey,
            stake=n.stake,
            permit=n.permit,
            serves=n.endpoint is not None,
        )
        for n in snapshot.neurons
    }


def changes(before: Rows | None, netuid: int, block: int, rows: Rows) -> SnapshotRecord:
    """What to write of `rows` behind those `before`: the ones that changed, or all where some went away."""
    whole = before is None or bool(before.keys() - rows.keys())
    changed = tuple(row for uid, row in sorted(rows.items()) if whole or (before or {}).get(uid) != row)
    return SnapshotRecord(netuid=netuid, block=block, size=len(rows), whole=whole, rows=changed)


def _neuron(row: NeuronRecord) -> Neuron:
    endpoint = PUBLISHED if row.serves else None
    return Neuron(row.uid, intern(row.hotkey), intern(row.coldkey), row.stake, row.permit, endpoint)


class Snapshots:
    """The last states of the metagraph, while a journal is read."""

    def __init__(self) -> None:
        self._states: deque[tuple[int, Rows, tuple[Neuron, ...]]] = deque(maxlen=KEPT)
        self._held = Counter[str]()  # hotkeys of the newest state
        self._neurons: dict[int, Neuron] = {}  # those of it, by uid

    def add(self, entry: Entry, record: SnapshotRecord) -> None:
        """Take over what `entry` says. Raises JournalBroken where it does not fit the state before it."""
        if not record.whole and not self._states:
            raise JournalBroken(f"entry {entry.seq}: a snapshot's changes without the snapshot before them")
        before = {} if record.whole else self._states[-1][1]
        changed = {row.uid: row for row in record.rows}
        rows = {**before, **changed}
        held = Counter() if record.whole else self._held.copy()
        held.subtract(before[uid].hotkey for uid in changed.keys() & before.keys())
        held.update(row.hotkey for row in changed.values())
        if len(rows) != record.size or any(held[row.hotkey] != 1 for row in changed.values()):
            raise JournalBroken(f"entry {entry.seq}: {len(rows)} rows, not {record.size} with a hotkey each")
        fresh = {uid: _neuron(row) for uid, row in changed.items()}
        self._held, self._neurons = held, fresh if record.whole else {**self._neurons, **fresh}
        self._states.append((record.block, rows, tuple(neuron for _, neuron in sorted(self._neurons.items()))))

    def at(self, block: int) -> tuple[Neuron, ...] | None:
        """The neurons that stood in `block`; None where there is none.

        The last state of that very block, or else the last that is no younger: a node that lags may have told an older
        one in between.
        """
        state = self._state(block)
        return state[2] if state else None

    def rows_at(self, block: int) -> Rows | None:
        """The same as rows."""
        state = self._state(block)
        return state[1] if state else None

    def _state(self, block: int) -> tuple[int, Rows, tuple[Neuron, ...]] | None:
        newest = list(reversed(self._states))
        exact = next((state for state in newest if state[0] == block), None)
        return exact or next((state for state in newest if state[0] <= block), None)

    @property
    def newest(self) -> int:
        """The highest block of them, 0 for none."""
        return max((state[0] for state in self._states), default=0)

    @property
    def rows(self) -> Rows:
        """The newest state."""
        return self._states[-1][1] if self._states else {}
