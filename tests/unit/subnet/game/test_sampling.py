"""What is asked, and whom: properties of the plan."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.errors import SettingsError
from subnet.game.history import History, Standing, Window
from subnet.game.sampling import Sampling, _draw, derive, eligible, plan
from subnet.game.scoring import weights
from subnet.types import Endpoint, Hyperparameters, Label, Modality, Neuron, Snapshot

ORIGINS = {
    (modality, label): {f"{modality}-{label.name}-a": 1.0, f"{modality}-{label.name}-b": 3.0}
    for modality in Modality
    for label in Label
}
SETTINGS = Sampling(origins=ORIGINS)


def miners(count: int) -> list[Neuron]:
    return [Neuron(n, f"hotkey-{n}", "cold", 0.0, False) for n in range(count)]


@given(st.integers(0, 2**128), st.integers(0, 10_000), st.integers(0, 80))
def test_a_plan_is_a_function_of_its_arguments(seed: int, number: int, count: int) -> None:
    """The same seed, number and miners give the same plan, in whatever order the miners are listed."""
    first = plan(seed, number, SETTINGS, miners(count))
    assert first == plan(seed, number, SETTINGS, miners(count)[::-1])
    assert len(set(first.hotkeys)) == len(first.hotkeys) == min(count, SETTINGS.sample_size)


@given(st.integers(0, 2**64), st.integers(0, 1000), st.integers(0, 20), st.integers(0, 20))
def test_the_challenge_does_not_depend_on_who_is_there(seed: int, number: int, few: int, many: int) -> None:
    """Modality, label, level, origin and challenge seed are the same for any set of miners."""
    one, other = plan(seed, number, SETTINGS, miners(few)), plan(seed, number, SETTINGS, miners(many))
    assert (one.modality, one.label, one.level, one.origin, one.seed) == (
        other.modality,
        other.label,
        other.level,
        other.origin,
        other.seed,
    )


def test_shares_are_kept() -> None:
    """Over 20,000 rounds: videos 5 %, labels even, levels even, origins by weight, each within five standard errors."""
    plans = [plan(7, number, SETTINGS, []) for number in range(20_000)]
    videos = sum(p.modality is Modality.VIDEO for p in plans) / len(plans)
    assert abs(videos - 0.05) < 5 * (0.05 * 0.95 / len(plans)) ** 0.5
    assert abs(sum(p.label for p in plans) / len(plans) - 0.5) < 5 * (0.25 / len(plans)) ** 0.5
    assert all(abs(n / len(plans) - 0.25) < 0.02 for n in Counter(p.level for p in plans).values())
    assert abs(sum(p.origin.endswith("b") for p in plans) / len(plans) - 0.75) < 0.02


def test_every_miner_is_asked_equally_often() -> None:
    """Nobody is favoured by the position in the metagraph."""
    asked = Counter(
        h for n in range(2000) for h in plan(1, n, Sampling(sample_size=5, origins=ORIGINS), miners(20)).hotkeys
    )
    assert min(asked.values()) > 380
    assert max(asked.values()) < 620


def test_rounds_share_no_randomness() -> None:
    """Challenge seeds do not repeat over rounds or validators."""
    seeds = {plan(seed, number, SETTINGS, []).seed for seed in range(20) for number in range(200)}
    assert len(seeds) == 4000


def test_an_origin_that_is_not_set_is_named() -> None:
    """Without an origin for what is asked, the error says which kind is missing."""
    with pytest.raises(SettingsError, match="no origin is set for (real|synthetic) (image|video)"):
        plan(0, 0, Sampling(), [])


@pytest.mark.parametrize(
    ("field", "value"),
    [("video_share", 1.1), ("synthetic_share", -0.1), ("sample_size", 0), ("level_weights", (0, 0, 0, 0))],
)
def test_settings_out_of_range_are_refused_by_name(field: str, value: object) -> None:
    """The message names the field."""
    with pytest.raises(SettingsError, match=field):
        Sampling(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("video_share", 0.0),
        ("video_share", 1.0),
        ("synthetic_share", 0.0),
        ("synthetic_share", 1.0),
        ("sample_size", 1),
        ("level_weights", (0, 0, 0, 1)),
        ("level_weights", (0.1, 0, 0, 0)),
    ],
)
def test_settings_at_the_edge_are_taken(field: str, value: object) -> None:
    """All of one kind, one miner, one level: extremes that make sense."""
    assert getattr(Sampling(**{field: value}), field) == value  # type: ignore[arg-type]


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4), st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_derived_seeds_differ_where_their_parts_do(one: list[str], other: list[str]) -> None:
    """Seeds are in 63 bits, and equal only for equal parts (parts without the separator)."""
    assert 0 <= derive(*one) < 2**63
    if one != other and not any("\x1f" in part for part in one + other):
        assert derive(*one) != derive(*other)


SERVING = Endpoint("192.0.2.1", 8091)
ASKED_BEFORE = {"image": Standing(image=Window(asked=1)), "video": Standing(video=Window(asked=1)), "never": Standing()}


def subnet_of(*neurons: Neuron) -> Snapshot:
    return Snapshot(2, 100, neurons, Hyperparameters(tempo=360, weights_rate_limit=100))


@pytest.mark.parametrize(
    ("hotkey", "stake", "permit", "endpoint", "asked"),
    [
        ("fresh", 0.0, False, SERVING, True),  # serves, never asked yet
        ("fresh", 0.0, False, None, False),  # registered, never served: nothing to ask
        ("image", 0.0, False, None, True),  # went away after it was asked: goes on being asked, and fails
        ("video", 0.0, False, None, True),
        ("never", 0.0, False, None, False),  # remembered without ever having been asked
        ("fresh", 999.9, True, SERVING, True),  # a permit alone is no validator
        ("fresh", 1000.0, True, SERVING, False),  # a validator
        ("image", 1000.0, True, SERVING, False),  # one that became a validator
        ("fresh", 5000.0, False, SERVING, True),  # stake alone is no validator
        ("me", 0.0, False, SERVING, False),  # nobody asks itself
    ],
)
def test_whom_a_validator_asks(hotkey: str, stake: float, permit: bool, endpoint: Endpoint | None, asked: bool) -> None:
    """Miners that serve or once did; never a validator, never oneself."""
    neuron = Neuron(3, hotkey, "cold", stake, permit, endpoint)
    assert eligible(subnet_of(neuron), History(ASKED_BEFORE), "me", 1000.0) == ([neuron] if asked else [])


NEURONS = st.builds(
    Neuron,
    uid=st.integers(0, 255),
    hotkey=st.sampled_from(["me", "fresh", *ASKED_BEFORE]),
    coldkey=st.just("cold"),
    stake=st.floats(0, 2000),
    permit=st.booleans(),
    endpoint=st.sampled_from([None, SERVING]),
)


@given(st.lists(NEURONS, max_size=8, unique_by=(lambda n: n.uid, lambda n: n.hotkey)), st.floats(0, 2000))
def test_whoever_can_be_paid_can_be_asked(neurons: list[Neuron], stake_limit: float) -> None:
    """Nobody keeps a score by no longer being asked: all who would get weight are asked, in the metagraph's order."""
    history = History({name: standing._replace(score=0.5) for name, standing in ASKED_BEFORE.items()})
    chosen = eligible(subnet_of(*neurons), history, "me", stake_limit)
    assert chosen == [n for n in neurons if n in chosen]
    paid = set(weights(History({k: s for k, s in history.standings.items() if s.asked}), neurons, stake_limit))
    assert paid <= {n.uid for n in chosen}


@given(st.integers(0, 2**63), st.lists(st.floats(0, 1e6), min_size=1, max_size=9).filter(lambda w: sum(w) > 0))
def test_draws_are_those_of_numpy(seed: int, weights: list[float]) -> None:
    """Plans of older versions stay as they are: the same place from the same number, and nothing else is used up."""
    ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
    total = sum(weights)
    assert _draw(weights, ours) == theirs.choice(len(weights), p=[weight / total for weight in weights])
    assert ours.random() == theirs.random()
