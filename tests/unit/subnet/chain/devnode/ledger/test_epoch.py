"""A whole epoch against the chain's, written a second time: dense, slow, in fractions cut to 2**-32 at every step.

The reference follows the published steps of the subtensor pallet's epoch one by one and shares nothing with the code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st

from subnet.chain.devnode.ledger.epoch import run_epoch
from subnet.chain.devnode.ledger.genesis import RAO, Genesis, GenesisNeuron, Rules
from subnet.chain.devnode.ledger.rules import commit_weights, set_weights
from subnet.chain.devnode.ledger.state import Commit, Row, SubnetState, initial

Matrix = list[list[Fraction]]
ZERO = Fraction(0)


@dataclass
class Reference:
    """What an epoch writes, per uid."""

    permits: list[bool]
    active: list[bool]
    consensus: list[int]
    incentive: list[int]
    dividends: list[int]
    validator_trust: list[int]
    bonds: list[list[int]]


def cut(value: Fraction) -> Fraction:
    """To the 32 binary places of the chain's numbers, downwards."""
    return Fraction(floor(value * 2**32), 2**32)


def shared(values: list[Fraction]) -> list[Fraction]:
    total = sum(values)
    return [cut(value / total) if total else value for value in values]


def columns_shared(matrix: Matrix) -> Matrix:
    columns = [shared(list(column)) for column in zip(*matrix, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def u16(value: Fraction) -> int:
    return min(65535, floor(value * 65535))


def top_k(shares: list[Fraction], k: int) -> list[bool]:
    """Sorted upwards and stably, all but the last k lose it: of equals the later uids keep it."""
    permits = [share != 0 for share in shares]
    if len(shares) >= k:
        for uid in sorted(range(len(shares)), key=lambda uid: shares[uid])[: len(shares) - k]:
            permits[uid] = False
    return permits


def weighted_median(scores: list[Fraction], stake: list[Fraction], kappa: Fraction) -> Fraction:
    """The largest score for which what lies below it holds no more than the minority."""
    votes = [(score, share) for score, share in zip(scores, stake, strict=True) if share > 0]
    if not votes:
        return ZERO
    stakes = shared([share for _, share in votes])
    minority = sum(stakes) - kappa
    below = {
        score: sum((s for (other, _), s in zip(votes, stakes, strict=True) if other < score), ZERO)
        for score, _ in votes
    }
    return max((score for score in below if below[score] <= minority), default=min(below))


def weights_that_count(state: SubnetState, permits: list[bool], owner: int | None) -> Matrix:
    n = len(state.rows)
    matrix = [[ZERO] * n for _ in range(n)]
    for i, row in enumerate(state.rows):
        commits = [c.block for c in state.commits if c.hotkey == row.hotkey and state.rules.commit_reveal]
        for j, value in row.weights:
            registered = state.rows[j].registered_at
            masked = not permits[i] or (i == j and i != owner) or row.last_update <= registered
            masked = masked or (bool(commits) and min(commits) < registered)
            matrix[i][j] = ZERO if masked else Fraction(value)
    return [shared(weights) for weights in matrix]


def old_bonds(state: SubnetState, block: int) -> Matrix:
    n = len(state.rows)
    last_tempo = state.last_epoch_block + 1 if state.last_epoch_block else max(0, block - state.rules.tempo)
    matrix = [[ZERO] * n for _ in range(n)]
    for i, row in enumerate(state.rows):
        for j, value in row.bonds:
            if not last_tempo <= state.rows[j].registered_at:
                matrix[i][j] = Fraction(value)
    return columns_shared(matrix)


def reference(state: SubnetState, block: int) -> Reference:
    rows, rules, n = state.rows, state.rules, len(state.rows)
    owner = next((uid for uid, row in enumerate(rows) if row.hotkey == rules.owner), None)
    threshold = rules.stake_threshold * RAO
    counted = [Fraction(row.stake) if uid == owner or row.stake >= threshold else ZERO for uid, row in enumerate(rows)]
    stake = shared(counted)
    permits = [row.permit or uid == owner for uid, row in enumerate(rows)]
    new_permits = [due or uid == owner for uid, due in enumerate(top_k(stake, rules.max_validators))]
    active = [row.last_update + rules.activity_cutoff >= block for row in rows]
    voting = shared([s if active[i] and permits[i] else ZERO for i, s in enumerate(stake)])
    weights = weights_that_count(state, permits, owner)
    kappa = cut(Fraction(32767, 65535))
    consensus = [weighted_median([weights[i][j] for i in range(n)], voting, kappa) for j in range(n)]
    clipped = [[min(weights[i][j], consensus[j]) for j in range(n)] for i in range(n)]
    incentive = shared([sum((cut(voting[i] * clipped[i][j]) for i in range(n)), ZERO) for j in range(n)])
    fresh = columns_shared([[cut(voting[i] * clipped[i][j]) for j in range(n)] for i in range(n)])
    alpha = 1 - cut(Fraction(900_000, 1_000_000))
    old = old_bonds(state, block)
    bonds = columns_shared(
        [[cut(alpha * fresh[i][j]) + cut((1 - alpha) * old[i][j]) for j in range(n)] for i in range(n)]
    )
    dividends = shared([sum((cut(bonds[i][j] * incentive[j]) for j in range(n)), ZERO) for i in range(n)])
    largest = [max(bonds[i][j] for i in range(n)) for j in range(n)]
    stored = [[cut(bonds[i][j] / largest[j]) if largest[j] else ZERO for j in range(n)] for i in range(n)]
    return Reference(
        permits=new_permits,
        active=active,
        consensus=[u16(value) for value in consensus],
        incentive=[u16(value) for value in incentive],
        dividends=[u16(value) for value in dividends],
        validator_trust=[u16(sum(row, ZERO)) for row in clipped],
        bonds=[[u16(value) if new_permits[i] else 0 for value in stored[i]] for i in range(n)],
    )


def written(state: SubnetState) -> Reference:
    n = len(state.rows)
    return Reference(
        permits=[row.permit for row in state.rows],
        active=[row.active for row in state.rows],
        consensus=[row.consensus for row in state.rows],
        incentive=[row.incentive for row in state.rows],
        dividends=[row.dividends for row in state.rows],
        validator_trust=[row.validator_trust for row in state.rows],
        bonds=[[dict(row.bonds).get(uid, 0) for uid in range(n)] for row in state.rows],
    )


@st.composite
def subnets(draw: st.DrawFn) -> tuple[SubnetState, int]:
    """A subnet at any moment, and the block of its epoch."""
    n = draw(st.integers(1, 6))
    blocks = st.integers(0, 60)
    values = st.dictionaries(st.integers(0, n - 1), st.integers(0, 65535)).map(lambda d: tuple(d.items()))
    stakes = st.sampled_from([0, 1, 5 * RAO, 10 * RAO, 10 * RAO, 7_777_777_777, 10**18])
    rows = tuple(
        Row(
            hotkey=f"h{uid}",
            coldkey="c",
            stake=draw(stakes),
            registered_at=draw(blocks),
            last_update=draw(blocks),
            permit=draw(st.booleans()),
            weights=draw(values),
            bonds=draw(values),
        )
        for uid in range(n)
    )
    rules = Rules(
        tempo=20,
        activity_cutoff=draw(st.sampled_from([20, 5000])),
        max_validators=draw(st.integers(1, n + 1)),
        stake_threshold=draw(st.sampled_from([0.0, 6.0, 10.0])),
        owner=draw(st.sampled_from(["", "h0", f"h{n - 1}"])),
        commit_reveal=draw(st.booleans()),
    )
    commits = draw(st.lists(st.builds(commit, st.integers(0, n), blocks), max_size=3))
    last = draw(st.sampled_from([0, 40]))
    return SubnetState(1, rules, rows, last_epoch_block=last, commits=tuple(commits)), 60


def commit(uid: int, block: int) -> Commit:
    return Commit(hotkey=f"h{uid}", block=block, epoch=0, data=b"")


@settings(max_examples=150, deadline=None)
@given(subnets())
def test_an_epoch_is_the_chains(case: tuple[SubnetState, int]) -> None:
    """Permits, activity, consensus, incentive, dividends, trust and bonds are the reference's to the last bit."""
    state, block = case
    assert written(run_epoch(state, block)) == reference(state, block)


def genesis(*stakes: float, **rules: object) -> SubnetState:
    neurons = tuple(GenesisNeuron(f"h{uid}", f"c{uid}", stake) for uid, stake in enumerate(stakes))
    return initial(Genesis(neurons=neurons, rules=Rules(**rules)))  # type: ignore[arg-type]


def weigh(state: SubnetState, uid: int, weights: dict[int, int], block: int = 5) -> SubnetState:
    return set_weights(state, f"h{uid}", block, uids=list(weights), values=list(weights.values()), version_key=0)


def incentives(state: SubnetState) -> list[int]:
    return [row.incentive for row in state.rows]


def test_stake_below_the_threshold_neither_votes_nor_holds_a_permit() -> None:
    """Two validators with 9 of 10 TAO outvote a third, but count for nothing under the threshold and lose their permits."""
    state = weigh(weigh(weigh(genesis(9, 9, 10, 0, 0), 0, {3: 1}), 1, {3: 1}), 2, {4: 1})
    assert incentives(run_epoch(state, 20)) == [0, 0, 0, 65535, 0]
    above = replace(state, rules=replace(state.rules, stake_threshold=10.0))
    paid = run_epoch(above, 20)
    assert incentives(paid) == [0, 0, 0, 0, 65535]
    assert [row.permit for row in paid.rows] == [False, False, True, False, False]


def test_the_owner_votes_and_keeps_its_permit_on_top() -> None:
    """With little stake, below the threshold and beyond the permit cut, the owner's weights count, also for itself."""
    state = genesis(100, 1, 0, owner="h1", max_validators=1, stake_threshold=50.0)
    assert [row.permit for row in state.rows] == [True, True, False]
    state = weigh(weigh(state, 1, {1: 1, 2: 1}), 0, {2: 1})
    paid = run_epoch(state, 20)
    assert [row.permit for row in paid.rows] == [True, True, False]
    assert incentives(paid) == [0, 0, 65535]  # the other holds 99 % of the stake
    alone = run_epoch(replace(state, rows=(replace(state.rows[0], stake=0), *state.rows[1:])), 20)
    assert incentives(alone) == [0, 32767, 32767]
    assert alone.rows[1].dividends == 65535


def test_ties_at_the_permit_cut_go_to_the_highest_uid() -> None:
    """Three of equal stake and two permits: the first goes without."""
    assert [row.permit for row in genesis(10, 10, 10, max_validators=2).rows] == [False, True, True]
    assert [row.permit for row in run_epoch(genesis(5, 9, 5, 5, max_validators=2), 20).rows] == [
        False,
        True,
        False,
        True,
    ]


def test_a_neuron_that_came_after_the_commit_gets_nothing_from_it() -> None:
    """Commit-reveal: while a commit waits, weights to neurons registered after it are masked, revealed ones too."""
    state = genesis(10, 0, 0, commit_reveal=True)
    state = commit_weights(state, "h0", 30, data=b"x", reveal_round=1, version=4)
    state = state.with_row(0, replace(state.rows[0], weights=((1, 1), (2, 1)), last_update=40))
    state = state.with_row(2, replace(state.rows[2], registered_at=35))
    assert incentives(run_epoch(state, 50)) == [0, 65535, 0]
    assert incentives(run_epoch(replace(state, commits=()), 50)) == [0, 32767, 32767]
    off = replace(state, rules=replace(state.rules, commit_reveal=False))
    assert incentives(run_epoch(off, 50)) == [0, 32767, 32767]


def test_bonds_to_a_neuron_that_registered_since_the_last_epoch_are_gone() -> None:
    """A validator's old bond in a uid does not earn from the neuron that holds it now."""
    state = genesis(10, 10, 0)
    state = state.with_row(0, replace(state.rows[0], bonds=((2, 65535),)))
    state = replace(weigh(state, 1, {2: 1}, block=50), last_epoch_block=40)
    old = run_epoch(state, 60)
    assert old.rows[0].dividends > 50000
    newcomer = state.with_row(2, replace(state.rows[2], registered_at=45))
    assert [row.dividends for row in run_epoch(newcomer, 60).rows] == [0, 65535, 0]
