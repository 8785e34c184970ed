"""What is asked, and whom: properties of the plan."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.errors import SettingsError
from subnet.game.sampling import Sampling, derive, plan
from subnet.types import Label, Modality, Neuron

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


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4), st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_derived_seeds_differ_where_their_parts_do(one: list[str], other: list[str]) -> None:
    """Seeds are in 63 bits, and equal only for equal parts (parts without the separator)."""
    assert 0 <= derive(*one) < 2**63
    if one != other and not any("\x1f" in part for part in one + other):
        assert derive(*one) != derive(*other)
