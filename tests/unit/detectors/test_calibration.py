"""Calibration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.calibration import Calibration, Verdict, fit, sigmoid


@given(st.floats(-1e6, 1e6), st.floats(0.01, 100), st.floats(-10, 10))
def test_probabilities_are_in_range_and_ordered(logit: float, temperature: float, bias: float) -> None:
    """Any finite log-odds gives a number in [0, 1], and a larger one never a smaller number."""
    calibration = Calibration(temperature, bias)
    assert 0.0 <= calibration.probability(logit) <= calibration.probability(logit + 1.0) <= 1.0


def test_fit_recovers_a_known_distortion() -> None:
    """Log-odds that were scaled and shifted come back to themselves within sampling error."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 20_000)
    true = rng.normal(np.where(labels == 1, 1.0, -1.0), math.sqrt(2.0))  # the log-odds of these is the value itself
    fitted = fit((true * 3.0 + 2.0).tolist(), labels.tolist())
    assert fitted.temperature == pytest.approx(3.0, rel=0.05)
    assert fitted.bias == pytest.approx(-2.0 / 3.0, abs=0.05)


def test_fit_ignores_the_share_of_classes() -> None:
    """Both classes weigh the same: ten times as many reals do not make everything look real."""
    rng = np.random.default_rng(1)
    fakes, reals = rng.normal(1, 1, 300), rng.normal(-1, 1, 3000)
    fitted = fit([*fakes, *reals], [1] * 300 + [0] * 3000)
    assert fitted.probability(0.0) == pytest.approx(0.5, abs=0.05)


def test_prior_moves_probabilities() -> None:
    """Where synthetic items are rare the same log-odds mean less."""
    calibration = Calibration()
    assert calibration.probability(0.0, prior=0.1) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="prior"):
        calibration.probability(0.0, prior=0.0)


def test_verdicts() -> None:
    """Inside the band nothing is claimed; above it synthetic; a low number alone says nothing."""
    calibration = Calibration(low=0.3, high=0.7)
    expected = [Verdict.CANNOT_TELL, Verdict.UNCERTAIN, Verdict.UNCERTAIN, Verdict.SYNTHETIC]
    assert [calibration.verdict(p) for p in (0.2, 0.5, 0.69, 0.71)] == expected


def test_what_older_files_say_besides_is_passed_over() -> None:
    """`measured_on` of older metadata is no claim any more: that stands on the card beside the weights."""
    assert Calibration.from_json({"low": 0.3, "high": 0.7, "measured_on": "set"}) == Calibration(low=0.3, high=0.7)  # type: ignore[dict-item]


def test_json_round_trip() -> None:
    """What is stored beside the weights comes back equal."""
    calibration = Calibration(2.5, -0.25, 0.35, 0.65)
    assert Calibration.from_json(calibration.to_json()) == calibration


def test_what_cannot_be_calibrated_is_refused() -> None:
    """One class, NaN, and impossible parameters are ValueErrors."""
    with pytest.raises(ValueError, match="both classes"):
        fit([1.0, 2.0], [1, 1])
    with pytest.raises(ValueError, match="finite"):
        fit([math.nan, 2.0], [0, 1])
    with pytest.raises(ValueError, match="temperature"):
        Calibration(temperature=0.0)
    with pytest.raises(ValueError, match="NaN"):
        sigmoid(math.nan)
