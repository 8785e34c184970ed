"""Money on the development chain: nothing is made or lost, and a neuron's stake is the sum of what is on its hotkey."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from subnet.chain.devnode.ledger.accounts import (
    ENDOWMENT,
    EXISTENTIAL_DEPOSIT,
    MIN_STAKE,
    PRICE,
    add_stake,
    free,
    remove_stake,
    transfer,
    transfer_all,
)
from subnet.chain.devnode.ledger.genesis import RAO, Genesis, GenesisNeuron, Rules
from subnet.chain.devnode.ledger.rules import burned_register
from subnet.chain.devnode.ledger.state import Refused, SubnetState, initial

COLDKEYS = ["c0", "c1", "stranger"]


def subnet(**rules: object) -> SubnetState:
    rows = tuple(GenesisNeuron(f"h{uid}", f"c{uid}", 10.0 * uid) for uid in range(3))
    return initial(Genesis(neurons=rows, rules=Rules(**rules)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda s: add_stake(s, "c", "nobody", RAO), "HotKeyAccountNotExists"),
        (lambda s: add_stake(s, "c", "h0", MIN_STAKE - 1), "AmountTooLow"),
        (lambda s: add_stake(s, "c", "h0", RAO, limit_price=PRICE - 1), "SlippageTooHigh"),
        (lambda s: add_stake(s, "c", "h0", ENDOWMENT), "NotEnoughBalanceToStake"),
        (lambda s: remove_stake(s, "c", "nobody", RAO), "HotKeyAccountNotExists"),
        (lambda s: remove_stake(s, "c", "h1", RAO), "NotEnoughStakeToWithdraw"),
        (lambda s: remove_stake(s, "c1", "h1", 10 * RAO - 1), "AmountTooLow"),
        (lambda s: remove_stake(s, "c1", "h1", 1), "AmountTooLow"),
        (lambda s: remove_stake(s, "c1", "h1", RAO, limit_price=PRICE + 1), "SlippageTooHigh"),
        (lambda s: burned_register(s, "c", "new", 1, limit_price=RAO // 10 - 1), "RegistrationPriceLimitExceeded"),
        (lambda s: transfer(s, "c", "d", ENDOWMENT + 1, keep_alive=False), "FundsUnavailable"),
        (lambda s: transfer(s, "c", "d", ENDOWMENT, keep_alive=True), "NotExpendable"),
    ],
)
def test_refusals(call: object, name: str) -> None:
    """Each rule is refused under its own name."""
    with pytest.raises(Refused, match=name):
        call(subnet())  # type: ignore[operator]


def test_a_pruned_hotkey_stays_its_coldkeys() -> None:
    """Nobody else can register it; its own coldkey can, and finds its stake again."""
    state = subnet(max_uids=3, max_validators=1, immunity_period=0)
    pruned = burned_register(burned_register(state, "c", "new", 5), "c", "newer", 6)
    assert pruned.uid("h1") is None
    assert pruned.staked_on("h1") == 10 * RAO
    with pytest.raises(Refused, match="NonAssociatedColdKey"):
        burned_register(pruned, "thief", "h1", 7)
    back = burned_register(pruned, "c1", "h1", 7)
    uid = back.uid("h1")
    assert uid is not None
    assert back.rows[uid].stake == 10 * RAO


def test_everything_can_be_sent() -> None:
    """transfer_all leaves nothing, or the existential deposit."""
    assert free(transfer_all(subnet(), "c", "d", keep_alive=False), "c") == 0
    alive = transfer_all(subnet(), "c", "d", keep_alive=True)
    assert (free(alive, "c"), free(alive, "d")) == (EXISTENTIAL_DEPOSIT, 2 * ENDOWMENT - EXISTENTIAL_DEPOSIT)


class Purses(RuleBasedStateMachine):
    """Any sequence of calls keeps the books."""

    def __init__(self) -> None:
        super().__init__()
        self.state = subnet(max_uids=4, max_validators=1, immunity_period=0, burn=1.0)
        self.burnt = 0
        self.names = 0

    def attempt(self, call: object) -> bool:
        try:
            self.state = call(self.state)  # type: ignore[operator]
        except Refused:
            return False
        return True

    amounts = st.one_of(st.integers(0, 3 * MIN_STAKE), st.integers(0, 2 * ENDOWMENT))

    @rule(source=st.sampled_from(COLDKEYS), payee=st.sampled_from(COLDKEYS), rao=amounts, alive=st.booleans())
    def send(self, source: str, payee: str, rao: int, alive: bool) -> None:
        self.attempt(lambda state: transfer(state, source, payee, rao, keep_alive=alive))

    @rule(coldkey=st.sampled_from(COLDKEYS), uid=st.integers(0, 3), rao=amounts)
    def stake(self, coldkey: str, uid: int, rao: int) -> None:
        self.attempt(lambda state: add_stake(state, coldkey, f"h{uid}", rao))

    @rule(coldkey=st.sampled_from(COLDKEYS), uid=st.integers(0, 3), rao=amounts)
    def unstake(self, coldkey: str, uid: int, rao: int) -> None:
        self.attempt(lambda state: remove_stake(state, coldkey, f"h{uid}", rao))

    @rule(coldkey=st.sampled_from(COLDKEYS))
    def join(self, coldkey: str) -> None:
        self.names += 1
        self.burnt += RAO * self.attempt(lambda state: burned_register(state, coldkey, f"n{self.names}", 9))

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        purses = sum(free(self.state, coldkey) for coldkey in COLDKEYS)
        staked = sum(self.state.positions.values()) - 30 * RAO
        assert purses + staked + self.burnt == len(COLDKEYS) * ENDOWMENT
        assert all(amount >= 0 for amount in self.state.balances.values())
        assert all(alpha > 0 for alpha in self.state.positions.values())
        assert all(row.stake == self.state.staked_on(row.hotkey) for row in self.state.rows)


TestPurses = Purses.TestCase
TestPurses.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
