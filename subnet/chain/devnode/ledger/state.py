"""The subnet's state at one block, as a frozen value. The rules in `rules.py` and `epoch.py` make the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from subnet.chain.devnode.ledger.genesis import RAO, Genesis, Rules
from subnet.chain.devnode.ledger.yuma import normal


class Refused(Exception):
    """The runtime's answer to a call that breaks a rule; `name` is the error's name there."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class AxonRow:
    """What serve_axon publishes; `ip` is the address as an integer, `ip_type` 4 or 6."""

    block: int
    version: int
    ip: int
    port: int
    ip_type: int
    protocol: int = 4


@dataclass(frozen=True)
class Row:
    """One neuron. Stake in rao; incentive and its kin in u16 (65535 is 1)."""

    hotkey: str
    coldkey: str
    stake: int = 0
    registered_at: int = 0
    last_update: int = 0
    permit: bool = False
    active: bool = True
    axon: AxonRow | None = None
    weights: tuple[tuple[int, int], ...] = ()  # (uid, u16)
    bonds: tuple[tuple[int, int], ...] = ()  # (uid, u16)
    incentive: int = 0
    dividends: int = 0
    consensus: int = 0
    validator_trust: int = 0


@dataclass(frozen=True)
class Commit:
    """Timelocked weights waiting for their round of the beacon."""

    hotkey: str
    block: int
    epoch: int
    data: bytes = field(repr=False)
    reveal_round: int = 0


@dataclass(frozen=True)
class Committed:
    """What a hotkey last said by set_commitment, and the space that it took in that epoch so far."""

    block: int
    fields: tuple[str, ...]  # JSON of the runtime's values, such as {"Raw2": "0x6869"}
    epoch: int
    space: int  # bytes


@dataclass(frozen=True, eq=False)
class SubnetState:
    """Everything about the subnet at one block except the block's own number."""

    netuid: int
    rules: Rules
    rows: tuple[Row, ...]
    last_epoch_block: int = 0
    epoch_index: int = 0
    commits: tuple[Commit, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)  # hotkey -> coldkey, also of hotkeys without a uid
    positions: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (hotkey, coldkey) -> stake in rao
    committed: Mapping[str, Committed] = field(default_factory=dict)  # by hotkey
    balances: Mapping[str, int] = field(default_factory=dict)  # rao of accounts that ever paid or got something

    def uid(self, hotkey: str) -> int | None:
        """The uid of a hotkey, or None when it is not registered."""
        return next((uid for uid, row in enumerate(self.rows) if row.hotkey == hotkey), None)

    def with_row(self, uid: int, row: Row) -> SubnetState:
        return replace(self, rows=(*self.rows[:uid], row, *self.rows[uid + 1 :]))

    def owner_uid(self) -> int | None:
        """The uid of the subnet's owner, or None when its hotkey is not registered."""
        return self.uid(self.rules.owner)

    def staked_on(self, hotkey: str) -> int:
        """All stake on a hotkey in rao, also of one without a uid."""
        return sum(alpha for (staked, _), alpha in self.positions.items() if staked == hotkey)

    def enough_stake(self, uid: int) -> bool:
        """Whether a neuron's stake reaches the threshold, below which it does not count; the owner's always does."""
        row = self.rows[uid]
        return row.hotkey == self.rules.owner or row.stake >= round(self.rules.stake_threshold * RAO)

    def stake_shares(self) -> list[int]:
        """Per uid the share of all stake that counts, I32F32."""
        return normal([row.stake if self.enough_stake(uid) else 0 for uid, row in enumerate(self.rows)])

    def permits_held(self) -> frozenset[int]:
        """The uids that may vote now: who was given a permit, and the owner."""
        held = frozenset(uid for uid, row in enumerate(self.rows) if row.permit)
        return held | self._owner()

    def permits_due(self) -> frozenset[int]:
        """The uids that an epoch gives permits: the largest stakes that count, and the owner on top."""
        return top_shares(self.stake_shares(), self.rules.max_validators) | self._owner()

    def _owner(self) -> frozenset[int]:
        uid = self.owner_uid()
        return frozenset() if uid is None else frozenset({uid})

    def next_epoch(self) -> int:
        """The block at which the next epoch runs."""
        return self.last_epoch_block + self.rules.tempo


def initial(genesis: Genesis) -> SubnetState:
    """The state at block 0. Permits are given at once, so that validators need not wait for the first epoch."""
    rows = tuple(
        Row(hotkey=neuron.hotkey, coldkey=neuron.coldkey, stake=round(neuron.stake * RAO)) for neuron in genesis.neurons
    )
    owners = {row.hotkey: row.coldkey for row in rows}
    positions = {(row.hotkey, row.coldkey): row.stake for row in rows if row.stake}
    state = SubnetState(genesis.netuid, genesis.rules, rows, owners=owners, positions=positions)
    permits = state.permits_due()
    return replace(state, rows=tuple(replace(row, permit=uid in permits) for uid, row in enumerate(rows)))


def top_shares(shares: Sequence[int], count: int) -> frozenset[int]:
    """The uids of the `count` largest above zero; of equals the higher uid wins, as on the chain."""
    ranked = sorted(((share, uid) for uid, share in enumerate(shares) if share > 0), reverse=True)
    return frozenset(uid for _, uid in ranked[:count])
