"""Money: balances, transfers and stake. One alpha is one TAO here, and transactions cost nothing.

Every account holds a million TAO at first (`ENDOWMENT`), so that new wallets can act; only what changed is kept.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from subnet.chain.devnode.ledger.genesis import RAO
from subnet.chain.devnode.ledger.state import Refused, SubnetState

ENDOWMENT: Final = 10**6 * RAO
EXISTENTIAL_DEPOSIT: Final = 500  # rao that an account must keep to live
MIN_STAKE: Final = 2_000_000  # rao: the smallest amount to stake and the smallest stake to leave
PRICE: Final = RAO  # rao per alpha


def free(state: SubnetState, address: str) -> int:
    """The balance of an account in rao."""
    return state.balances.get(address, ENDOWMENT)


def charge(state: SubnetState, address: str, rao: int, *, error: str, left: int = 0) -> SubnetState:
    """Take from an account. Raises Refused with `error` when less than `left` would remain."""
    rest = free(state, address) - rao
    if rest < left:
        raise Refused(error)
    return replace(state, balances={**state.balances, address: rest})


def _credit(state: SubnetState, address: str, rao: int) -> SubnetState:
    return replace(state, balances={**state.balances, address: free(state, address) + rao})


def transfer(state: SubnetState, source: str, target: str, rao: int, *, keep_alive: bool) -> SubnetState:
    """The calls transfer_keep_alive and transfer_allow_death: from account to account."""
    left = EXISTENTIAL_DEPOSIT if keep_alive else 0
    state = charge(state, source, rao, error="FundsUnavailable", left=0)
    if free(state, source) < left:
        raise Refused("NotExpendable")
    return _credit(state, target, rao)


def transfer_all(state: SubnetState, source: str, target: str, *, keep_alive: bool) -> SubnetState:
    """The call transfer_all: everything, but for the existential deposit if the account is to live."""
    rao = max(0, free(state, source) - (EXISTENTIAL_DEPOSIT if keep_alive else 0))
    return transfer(state, source, target, rao, keep_alive=keep_alive)


def add_stake(
    state: SubnetState, coldkey: str, hotkey: str, rao: int, *, limit_price: int | None = None
) -> SubnetState:
    """The calls add_stake and add_stake_limit: `limit_price` is in rao per alpha."""
    if hotkey not in state.owners:
        raise Refused("HotKeyAccountNotExists")
    if rao < MIN_STAKE:
        raise Refused("AmountTooLow")
    if limit_price is not None and limit_price < PRICE:
        raise Refused("SlippageTooHigh")
    state = charge(state, coldkey, rao, error="NotEnoughBalanceToStake", left=EXISTENTIAL_DEPOSIT)
    return _restaked(state, hotkey, coldkey, rao)


def remove_stake(
    state: SubnetState, coldkey: str, hotkey: str, alpha: int, *, limit_price: int | None = None
) -> SubnetState:
    """The calls remove_stake and remove_stake_limit: at most what is there; no dust may remain."""
    if hotkey not in state.owners:
        raise Refused("HotKeyAccountNotExists")
    held = state.positions.get((hotkey, coldkey), 0)
    taken = min(alpha, held)
    if not held:
        raise Refused("NotEnoughStakeToWithdraw")
    if (taken < MIN_STAKE and taken != held) or 0 < held - taken < MIN_STAKE:
        raise Refused("AmountTooLow")
    if limit_price is not None and limit_price > PRICE:
        raise Refused("SlippageTooHigh")
    return _credit(_restaked(state, hotkey, coldkey, -taken), coldkey, taken)


def _restaked(state: SubnetState, hotkey: str, coldkey: str, change: int) -> SubnetState:
    """With a position changed, and the neuron's stake, which is the sum of the positions on its hotkey."""
    positions = {**state.positions, (hotkey, coldkey): state.positions.get((hotkey, coldkey), 0) + change}
    state = replace(state, positions={key: alpha for key, alpha in positions.items() if alpha > 0})
    uid = state.uid(hotkey)
    if uid is None:
        return state
    return state.with_row(uid, replace(state.rows[uid], stake=state.rows[uid].stake + change))
