"""The losses that training minimises."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from detectors.training.losses import ranking

LABELS = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
ODDS = st.lists(st.floats(-8, 8), min_size=6, max_size=6)


@given(ODDS)
def test_the_order_of_twins_forgets_what_they_share(values: list[float]) -> None:
    """A number added to both of a pair moves the cross-entropy and leaves the order alone."""
    odds = torch.tensor(values, dtype=torch.float64)
    shared = torch.tensor([0.5, -2.0, 1.0], dtype=torch.float64).repeat(2)
    plain, moved = ranking(odds, LABELS.double()), ranking(odds + shared, LABELS.double())
    torch.testing.assert_close(plain["order"], moved["order"])
    torch.testing.assert_close(plain["loss"], plain["entropy"] + plain["order"])


def test_guessing_costs_log_2_twice() -> None:
    """A network that says nothing pays log 2 for the classes and log 2 for the order; one that knows pays little."""
    told = {name: float(value) for name, value in ranking(torch.zeros(6), LABELS).items()}
    assert math.isclose(told["entropy"], math.log(2), rel_tol=1e-6)
    assert math.isclose(told["order"], math.log(2), rel_tol=1e-6)
    assert float(ranking(20 * LABELS - 10, LABELS)["loss"]) < 1e-3


def test_twins_the_wrong_way_round_cost_their_distance() -> None:
    """softplus(real - fake) of one pair, worked by hand."""
    told = ranking(torch.tensor([3.0, 1.0]), torch.tensor([0.0, 1.0]))
    assert math.isclose(float(told["order"]), math.log1p(math.exp(2.0)), rel_tol=1e-6)
