"""The rules of the development chain as pure functions: order of checks, histories, and what never changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from subnet.chain.devnode.ledger.epoch import on_block, run_epoch
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.devnode.ledger.rules import burned_register, serve_axon, set_weights
from subnet.chain.devnode.ledger.state import AxonRow, Refused, SubnetState, initial, top_shares


def subnet(count: int = 4, **rules: object) -> SubnetState:
    """Neuron i is called "h<i>"; the first two have stake and so a permit."""
    rows = tuple(GenesisNeuron(f"h{i}", f"c{i}", 10.0 if i < 2 else 0.0) for i in range(count))
    return initial(Genesis(neurons=rows, rules=Rules(**rules)))  # type: ignore[arg-type]


def refusal(state: SubnetState, hotkey: str, uids: list[int], values: list[int], key: int = 9, **more: int) -> str:
    with pytest.raises(Refused) as refused:
        set_weights(state, hotkey, 5, uids=uids, values=values, version_key=key, **more)
    return refused.value.name


def test_checks_come_in_the_runtimes_order() -> None:
    """A call that breaks every rule is refused for the first; mended one by one it meets each rule in turn."""
    state = subnet(
        commit_reveal=True, stake_threshold=5.0, version_key=9, min_allowed_weights=3, max_weight_limit=40000
    ).with_row(1, replace(subnet().rows[1], last_update=3))
    assert refusal(state, "no", [2, 2, 9, 9, 9], [1], key=1, mechanism=1) == "CommitRevealEnabled"
    state = replace(state, rules=replace(state.rules, commit_reveal=False))
    assert refusal(state, "no", [2, 2, 9, 9, 9], [1], key=1, mechanism=1) == "WeightVecNotEqualSize"
    assert refusal(state, "no", [2, 2, 9, 9, 9], [9, 1, 1, 1, 1], key=1, mechanism=1) == "MechanismDoesNotExist"
    assert refusal(state, "no", [2, 2, 9, 9, 9], [9, 1, 1, 1, 1], key=1) == "UidsLengthExceedUidsInSubNet"
    assert refusal(state, "no", [2, 2, 9], [9, 1, 1], key=1) == "HotKeyNotRegisteredInSubNet"
    assert refusal(state, "h2", [2, 2, 9], [9, 1, 1], key=1) == "NotEnoughStakeToSetWeights"
    assert refusal(state, "h1", [2, 2, 9], [9, 1, 1], key=1) == "IncorrectWeightVersionKey"
    assert refusal(state, "h1", [2, 2, 9], [9, 1, 1]) == "SettingWeightsTooFast"
    without = state.with_row(1, replace(state.rows[1], permit=False, last_update=0))
    assert refusal(without, "h1", [2, 2, 9], [9, 1, 1]) == "NeuronNoValidatorPermit"
    assert refusal(state, "h0", [2, 2, 9], [9, 1, 1]) == "DuplicateUids"
    assert refusal(state, "h0", [2, 9], [9, 1]) == "UidVecContainInvalidOne"
    assert refusal(state, "h0", [2, 3], [9, 1]) == "WeightVecLengthIsLow"
    assert refusal(state, "h0", [1, 2, 3], [9, 1, 1]) == "MaxWeightExceeded"
    after = set_weights(state, "h0", 5, uids=[1, 2, 3], values=[2, 1, 1], version_key=9)
    assert after.rows[0].weights == ((1, 65535), (2, 32767), (3, 32767))


def test_exemptions() -> None:
    """One's own single weight needs no permit, count or limit; the owner needs neither permit nor stake."""
    state = subnet(min_allowed_weights=3, max_weight_limit=100)
    assert set_weights(state, "h3", 5, uids=[3], values=[1], version_key=0).rows[3].weights == ((3, 65535),)
    owned = subnet(owner="h2", stake_threshold=5.0)
    assert set_weights(owned, "h2", 5, uids=[1], values=[1], version_key=0).rows[2].weights == ((1, 65535),)


def test_a_refusal_changes_nothing() -> None:
    """The state before a refused call is the same value after it."""
    state = subnet()
    rows = state.rows
    refusal(state, "h3", [1], [1])
    assert state.rows is rows


def test_serving_takes_the_axon_down_with_address_zero() -> None:
    """Address 0 unpublishes."""
    state = serve_axon(subnet(), "h3", 1, AxonRow(block=1, version=1, ip=0, port=1, ip_type=4))
    assert state.rows[3].axon is not None
    assert state.rows[3].axon.ip == 0


@pytest.mark.parametrize(
    ("axon", "name"),
    [
        (AxonRow(block=1, version=1, ip=2**32, port=1, ip_type=4), "InvalidIpAddress"),
        (AxonRow(block=1, version=1, ip=1, port=1, ip_type=5), "InvalidIpType"),
        (AxonRow(block=1, version=1, ip=0x7F000001, port=1, ip_type=4), "InvalidIpAddress"),
        (AxonRow(block=1, version=1, ip=1, port=1, ip_type=6), "InvalidIpAddress"),
        (AxonRow(block=1, version=1, ip=0x08080808, port=0, ip_type=4), "InvalidPort"),
    ],
)
def test_bad_axons(axon: AxonRow, name: str) -> None:
    """Each is refused under its own name."""
    with pytest.raises(Refused, match=name):
        serve_axon(subnet(), "h3", 1, axon)


def test_registration_can_be_closed_and_permits_are_never_pruned() -> None:
    """A closed subnet takes nobody; a full one of permit holders has no place."""
    with pytest.raises(Refused, match="SubNetRegistrationDisabled"):
        burned_register(subnet(registration=False), "c", "new", 5)
    with pytest.raises(Refused, match="NoNeuronIdAvailable"):
        burned_register(subnet(2, max_uids=2), "c", "new", 5)


def test_the_pruned_is_the_weakest_out_of_immunity() -> None:
    """Lowest incentive goes first, but not while it is immune."""
    state = subnet(4, max_uids=4, immunity_period=10)
    state = state.with_row(2, replace(state.rows[2], incentive=500))
    state = state.with_row(3, replace(state.rows[3], incentive=1, registered_at=95))
    after = burned_register(state, "c", "new", 100)
    assert [row.hotkey for row in after.rows] == ["h0", "h1", "new", "h3"]


def test_weights_to_a_replaced_neuron_count_no_more() -> None:
    """Weights given before a uid changed hands pay nothing to its new owner."""
    state = subnet(4, max_uids=4, immunity_period=0)
    state = set_weights(state, "h0", 5, uids=[2, 3], values=[3, 1], version_key=0)
    paid = run_epoch(state, 10)
    assert (paid.rows[2].incentive, paid.rows[3].incentive) == (49151, 16383)
    replaced = burned_register(state, "c", "new", 7)
    assert replaced.rows[2].hotkey == "new"
    assert [row.incentive for row in run_epoch(replaced, 10).rows] == [0, 0, 0, 65535]


def test_an_idle_validator_loses_its_vote() -> None:
    """Beyond the activity cut-off old weights pay nobody."""
    state = set_weights(subnet(activity_cutoff=20), "h0", 5, uids=[2], values=[1], version_key=0)
    assert run_epoch(state, 25).rows[2].incentive == 65535
    late = run_epoch(state, 26)
    assert (late.rows[2].incentive, late.rows[0].active) == (0, False)


@given(st.lists(st.integers(0, 100), max_size=20), st.integers(0, 8))
def test_permits_are_the_top_shares(stakes: list[int], count: int) -> None:
    """As many as allowed, none of them zero, and nobody left out has more."""
    top = top_shares(stakes, count)
    assert len(top) == min(count, sum(stake > 0 for stake in stakes))
    left = [stake for uid, stake in enumerate(stakes) if uid not in top]
    assert all(stakes[uid] >= max(left, default=0) for uid in top)


class Histories(RuleBasedStateMachine):
    """Any sequence of calls and blocks keeps the books straight."""

    def __init__(self) -> None:
        super().__init__()
        self.state = subnet(5, tempo=4, weights_rate_limit=3, max_uids=6, immunity_period=2)
        self.block = 0
        self.told: dict[str, int] = {}  # last block at which a hotkey's weights were taken
        self.names = 5

    @rule(blocks=st.integers(1, 5))
    def advance(self, blocks: int) -> None:
        for _ in range(blocks):
            self.block += 1
            self.state = on_block(self.state, self.block, lambda commit: None)
            if self.state.last_epoch_block == self.block:
                for total in self.totals():
                    assert total == 0 or abs(total - 65535) <= len(self.state.rows)

    def totals(self) -> list[int]:
        return [sum(getattr(row, share) for row in self.state.rows) for share in ("incentive", "dividends")]

    @precondition(lambda self: self.block > 0)
    @rule(who=st.integers(0, 9), weights=st.dictionaries(st.integers(0, 6), st.integers(0, 65535), max_size=6))
    def weigh(self, who: int, weights: dict[int, int]) -> None:
        hotkey = f"h{who}"
        try:
            after = set_weights(
                self.state, hotkey, self.block, uids=list(weights), values=list(weights.values()), version_key=0
            )
        except Refused:
            return
        uid = after.uid(hotkey)
        assert uid is not None
        assert self.block - self.told.get(hotkey, -99) >= 3
        assert after.rows[uid].last_update == self.block
        self.told[hotkey] = self.block
        self.state = after

    @rule()
    def join(self) -> None:
        self.names += 1
        self.told.pop(f"h{self.names}", None)
        self.state = burned_register(self.state, "c", f"h{self.names}", self.block)

    @invariant()
    def books_balance(self) -> None:
        rows = self.state.rows
        assert len(rows) <= 6
        assert len({row.hotkey for row in rows}) == len(rows)
        assert all(total <= 65535 + len(rows) for total in self.totals())
        assert self.state.last_epoch_block <= self.block < self.state.last_epoch_block + 4 or self.block == 0
        assert all(0 <= uid < len(rows) for row in rows for uid, _ in row.weights + row.bonds)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
