"""What the chain accepts: each call as a pure function from one state to the next, or a refusal by its true name.

Names are those of the SubtensorModule errors of the runtime (spec 461) and the order of the checks is the runtime's,
so that a program sees here the error that it would see on the public chain. Money is in `accounts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address

from subnet.chain.devnode.ledger.accounts import charge
from subnet.chain.devnode.ledger.genesis import RAO
from subnet.chain.devnode.ledger.state import AxonRow, Commit, Refused, Row, SubnetState
from subnet.types import U16

COMMIT_VERSION = 4
MAX_COMMIT_BYTES = 5000
MAX_UNREVEALED = 10


def _registered(state: SubnetState, hotkey: str) -> int:
    uid = state.uid(hotkey)
    if uid is None:
        raise Refused("HotKeyNotRegisteredInSubNet")
    return uid


def _require(condition: bool, name: str) -> None:
    if not condition:
        raise Refused(name)


def blocks_until_weights(state: SubnetState, uid: int, block: int) -> int:
    """Blocks to wait before `uid` may set weights in `block` (0: at once)."""
    last = state.rows[uid].last_update
    return max(0, state.rules.weights_rate_limit - (block - last)) if last > 0 else 0


def set_weights(
    state: SubnetState,
    hotkey: str,
    block: int,
    *,
    uids: Sequence[int],
    values: Sequence[int],
    version_key: int,
    mechanism: int = 0,
) -> SubnetState:
    """The call set_weights (set_mechanism_weights): u16 `values` for `uids`, signed by `hotkey`, in `block`."""
    _require(not state.rules.commit_reveal, "CommitRevealEnabled")
    uid = _may_set(state, hotkey, block, uids, values, version_key, mechanism, limited=True)
    row = replace(state.rows[uid], weights=_upscaled(uids, values), last_update=block)
    return state.with_row(uid, row)


def reveal_weights(
    state: SubnetState, hotkey: str, block: int, *, uids: Sequence[int], values: Sequence[int], version_key: int
) -> SubnetState:
    """What the chain does with opened commits: as set_weights, but without the rate limit and a new LastUpdate."""
    uid = _may_set(state, hotkey, block, uids, values, version_key, 0, limited=False)
    return state.with_row(uid, replace(state.rows[uid], weights=_upscaled(uids, values)))


def _may_set(
    state: SubnetState,
    hotkey: str,
    block: int,
    uids: Sequence[int],
    values: Sequence[int],
    version_key: int,
    mechanism: int,
    *,
    limited: bool,
) -> int:
    rules = state.rules
    _require(len(uids) == len(values), "WeightVecNotEqualSize")
    _require(mechanism == 0, "MechanismDoesNotExist")
    _require(len(uids) <= len(state.rows), "UidsLengthExceedUidsInSubNet")
    uid = _registered(state, hotkey)
    _require(state.enough_stake(uid), "NotEnoughStakeToSetWeights")
    _require(rules.version_key == 0 or version_key >= rules.version_key, "IncorrectWeightVersionKey")
    _require(not limited or blocks_until_weights(state, uid, block) == 0, "SettingWeightsTooFast")
    alone = list(uids) == [uid]
    _require(alone or uid in state.permits_held(), "NeuronNoValidatorPermit")
    _require(len(set(uids)) == len(uids), "DuplicateUids")
    _require(all(0 <= other < len(state.rows) for other in uids), "UidVecContainInvalidOne")
    _require(alone or len(uids) >= min(len(state.rows), rules.min_allowed_weights), "WeightVecLengthIsLow")
    _require(alone or max(values, default=0) * U16 <= rules.max_weight_limit * sum(values), "MaxWeightExceeded")
    return uid


def _upscaled(uids: Sequence[int], values: Sequence[int]) -> tuple[tuple[int, int], ...]:
    top = max(values, default=0)
    return tuple((uid, value * U16 // top if top else 0) for uid, value in zip(uids, values, strict=True))


def commit_weights(
    state: SubnetState,
    hotkey: str,
    block: int,
    *,
    data: bytes,
    reveal_round: int,
    version: int,
    mechanism: int = 0,
) -> SubnetState:
    """The call commit_timelocked_weights: sealed weights; the permit is checked only when they are opened."""
    _require(mechanism == 0, "MechanismDoesNotExist")
    _require(state.rules.commit_reveal, "CommitRevealDisabled")
    _require(version == COMMIT_VERSION, "IncorrectCommitRevealVersion")
    uid = _registered(state, hotkey)
    row = state.rows[uid]
    _require(state.enough_stake(uid), "NotEnoughStakeToSetWeights")
    _require(len(data) <= MAX_COMMIT_BYTES, "CommitPayloadTooLarge")
    _require(blocks_until_weights(state, uid, block) == 0, "CommittingWeightsTooFast")
    waiting = sum(commit.hotkey == hotkey for commit in state.commits)
    _require(waiting < MAX_UNREVEALED, "TooManyUnrevealedCommits")
    commit = Commit(hotkey=hotkey, block=block, epoch=state.epoch_index, data=data, reveal_round=reveal_round)
    state = state.with_row(uid, replace(row, last_update=block))
    return replace(state, commits=(*state.commits, commit))


def blocks_until_serving(state: SubnetState, uid: int, block: int) -> int:
    """Blocks to wait before `uid` may publish its axon again in `block` (0: at once)."""
    axon = state.rows[uid].axon
    return max(0, state.rules.serving_rate_limit - (block - axon.block)) if axon else 0


def serve_axon(state: SubnetState, hotkey: str, block: int, axon: AxonRow) -> SubnetState:
    """The call serve_axon. Exactly 127.0.0.1 and ::1 are refused unless this is a local network; ip 0 takes it down."""
    uid = _registered(state, hotkey)
    _require(axon.ip_type in (4, 6), "InvalidIpType")
    _require(0 <= axon.ip < 2 ** (32 if axon.ip_type == 4 else 128), "InvalidIpAddress")
    loopback = str(_address(axon)) in ("127.0.0.1", "::1")
    _require(state.rules.allow_loopback or not loopback, "InvalidIpAddress")
    _require(blocks_until_serving(state, uid, block) == 0, "ServingRateLimitExceeded")
    _require(axon.port != 0, "InvalidPort")
    return state.with_row(uid, replace(state.rows[uid], axon=axon))


def _address(axon: AxonRow) -> object:
    return ip_address(axon.ip.to_bytes(4 if axon.ip_type == 4 else 16, "big"))


def burned_register(
    state: SubnetState, coldkey: str, hotkey: str, block: int, *, limit_price: int | None = None
) -> SubnetState:
    """The calls burned_register and register_limit: a new uid, or that of the weakest neuron out of immunity.

    The coldkey pays `rules.burn`; above `limit_price` (rao) it does not want to.
    """
    _require(state.rules.registration, "SubNetRegistrationDisabled")
    _require(state.uid(hotkey) is None, "HotKeyAlreadyRegisteredInSubNet")
    _require(state.owners.get(hotkey, coldkey) == coldkey, "NonAssociatedColdKey")
    price = round(state.rules.burn * RAO)
    _require(limit_price is None or price <= limit_price, "RegistrationPriceLimitExceeded")
    state = charge(state, coldkey, price, error="NotEnoughBalanceToStake")
    state = replace(state, owners={**state.owners, hotkey: coldkey})
    row = Row(hotkey=hotkey, coldkey=coldkey, stake=state.staked_on(hotkey), registered_at=block)
    if len(state.rows) < state.rules.max_uids:
        return replace(state, rows=(*state.rows, row))
    uid = _weakest(state, block)
    return _without_traces(state, uid).with_row(uid, row)


def _weakest(state: SubnetState, block: int) -> int:
    """The uid to prune: lowest incentive, then oldest; permits and the owner stay; immune ones only if all are."""
    rows = [(uid, row) for uid, row in enumerate(state.rows) if not row.permit and row.hotkey != state.rules.owner]
    _require(bool(rows), "NoNeuronIdAvailable")
    mortal = [(uid, row) for uid, row in rows if block - row.registered_at >= state.rules.immunity_period]
    return min(mortal or rows, key=lambda pair: (pair[1].incentive, pair[1].registered_at, pair[0]))[0]


def _without_traces(state: SubnetState, uid: int) -> SubnetState:
    """Bonds to a pruned uid end with it. Weights to it stay, but count no more: see `epoch`."""
    rows = tuple(replace(row, bonds=tuple(b for b in row.bonds if b[0] != uid)) for row in state.rows)
    return replace(state, rows=rows)
