"""The subnet's state at one block, as a frozen value. The rules in `rules.py` and `epoch.py` make the next one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from subnet.chain.devnode.ledger.genesis import RAO, Genesis, Rules


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
    trust: int = 0
    validator_trust: int = 0


@dataclass(frozen=True)
class Commit:
    """Timelocked weights waiting for their round of the beacon."""

    hotkey: str
    block: int
    epoch: int
    data: bytes = field(repr=False)
    reveal_round: int = 0


@dataclass(frozen=True, eq=False)
class SubnetState:
    """Everything about the subnet at one block except the block's own number."""

    netuid: int
    rules: Rules
    rows: tuple[Row, ...]
    last_epoch_block: int = 0
    epoch_index: int = 0
    commits: tuple[Commit, ...] = ()

    def uid(self, hotkey: str) -> int | None:
        """The uid of a hotkey, or None when it is not registered."""
        return next((uid for uid, row in enumerate(self.rows) if row.hotkey == hotkey), None)

    def with_row(self, uid: int, row: Row) -> SubnetState:
        return replace(self, rows=(*self.rows[:uid], row, *self.rows[uid + 1 :]))

    def next_epoch(self) -> int:
        """The block at which the next epoch runs."""
        return self.last_epoch_block + self.rules.tempo


def initial(genesis: Genesis) -> SubnetState:
    """The state at block 0. Permits are given at once, so that validators need not wait for the first epoch."""
    stakes = [round(neuron.stake * RAO) for neuron in genesis.neurons]
    permits = top_stakes(stakes, genesis.rules.max_validators)
    rows = tuple(
        Row(hotkey=neuron.hotkey, coldkey=neuron.coldkey, stake=stake, permit=uid in permits)
        for uid, (neuron, stake) in enumerate(zip(genesis.neurons, stakes, strict=True))
    )
    return SubnetState(netuid=genesis.netuid, rules=genesis.rules, rows=rows)


def top_stakes(stakes: Iterable[int], count: int) -> frozenset[int]:
    """The uids of the `count` largest stakes above zero; of equals the lower uid wins."""
    ranked = sorted((-stake, uid) for uid, stake in enumerate(stakes) if stake > 0)
    return frozenset(uid for _, uid in ranked[:count])
