"""Metrics and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as reference

from detectors.dataset.contents import connected_components, numbers_of
from detectors.evaluation.intervals import FEWEST, Interval, measure, resamples, span
from detectors.evaluation.metrics import METRICS, RATES, Floats, Ints, confusion, threshold_at, tpr_at
from detectors.evaluation.summary import Answers, reward_windows, summarise


@st.composite
def weighted(draw: st.DrawFn) -> tuple[Floats, Ints, Floats]:
    """Answers with many ties, both classes, and whole-number weights of which both classes have some."""
    count = draw(st.integers(2, 40))
    grid = st.integers(0, 20).map(lambda n: n / 20)
    p = np.array(draw(st.lists(grid, min_size=count, max_size=count)))
    y = np.array([0, 1, *draw(st.lists(st.integers(0, 1), min_size=count - 2, max_size=count - 2))])
    w = np.array(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)), dtype=np.float64)
    w[:2] = np.maximum(w[:2], 1)
    return p, y, w


@given(weighted())
def test_equal_to_scikit_learn(case: tuple[Floats, Ints, Floats]) -> None:
    """Every metric that scikit-learn has is the same number there, weights and ties included."""
    p, y, w = case
    called = (p > 0.5).astype(int)
    tn, fp, fn, tp = reference.confusion_matrix(y, called, labels=[0, 1], sample_weight=w).ravel()
    expected = {
        "accuracy": reference.accuracy_score(y, called, sample_weight=w),
        "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "mcc": reference.matthews_corrcoef(y, called, sample_weight=w),
        "auc": reference.roc_auc_score(y, p, sample_weight=w),
        "ap": reference.average_precision_score(y, p, sample_weight=w),
        "brier": reference.brier_score_loss(y, p, sample_weight=w),
        "type_1_error": fp / (fp + tn),
        "type_2_error": fn / (fn + tp),
    }
    found = {name: float(METRICS[name](p, y, w[None])[0]) for name in expected}
    assert found == pytest.approx(expected, abs=1e-9)


@given(weighted(), st.sampled_from([0.01, 0.05, 0.2]))
def test_tpr_at_fpr_is_a_point_of_the_roc_curve(case: tuple[Floats, Ints, Floats], fpr: float) -> None:
    """The highest point of scikit-learn's curve that does not lie to the right of the allowed rate."""
    p, y, w = case
    false, true, _ = reference.roc_curve(y, p, sample_weight=w, drop_intermediate=False)
    assert tpr_at(fpr)(p, y, w[None])[0] == pytest.approx(true[false <= fpr + 1e-9].max(), abs=1e-9)


@given(weighted())
def test_rows_are_independent(case: tuple[Floats, Ints, Floats]) -> None:
    """Many weightings at once give what each gives alone; a class without weight gives NaN, not a number."""
    p, y, w = case
    rows = np.stack([w, np.ones_like(w), w * (y == 1)])
    for name, metric in METRICS.items():
        together = metric(p, y, rows)
        alone = [metric(p, y, row[None])[0] for row in rows]
        np.testing.assert_allclose(together, alone, atol=1e-12, err_msg=name)
        if name not in ("accuracy", "brier", "ece", "type_2_error"):
            assert np.isnan(together[2]), name


def test_calibration_error_of_a_known_case() -> None:
    """Two bins, each off by 0.2 with half the weight, are off by 0.2 together."""
    p, y = np.array([0.8] * 5 + [0.2] * 5), np.array([1, 1, 1, 0, 0, 1, 1, 0, 0, 0])
    assert METRICS["ece"](p, y, np.ones((1, 10)))[0] == pytest.approx(0.2)


def test_half_is_real() -> None:
    """A tie at exactly 0.5 says real, as the incentive has it."""
    tp, fp, fn, tn = confusion(np.array([0.5, 0.5]), np.array([0, 1]), np.ones((1, 2)))
    assert (tp[0], fp[0], fn[0], tn[0]) == (0, 0, 1, 1)


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=3), min_size=1, max_size=12))
def test_clusters_join_what_shares_a_key(links: list[list[int]]) -> None:
    """Items with a common key are in one cluster, and every cluster hangs together by shared keys."""
    clusters = connected_components(links)
    for i, first in enumerate(links):
        for j, second in enumerate(links):
            if set(first) & set(second):
                assert clusters[i] == clusters[j]
    keys = [set[int]().union(*(links[i] for i in np.flatnonzero(clusters == c))) for c in set(clusters.tolist())]
    assert sum(map(len, keys)) == len(set[int]().union(*keys))


def test_resamples_draw_whole_clusters() -> None:
    """Items of a cluster come together, and every resample draws as many clusters as there are."""
    clusters = numbers_of(["a", "a", "b", "c", "c", "c"])
    weights = resamples(clusters, 50, 0)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_interval_covers_the_truth() -> None:
    """Of 60 data sets of known accuracy, the 95 % interval misses it in at most eight."""
    rng, missed = np.random.default_rng(0), 0
    for number in range(60):
        y = rng.integers(0, 2, 200)
        right = rng.random(200) < 0.8
        p = np.where(right == (y == 1), 0.9, 0.1)
        chosen = {"accuracy": METRICS["accuracy"]}
        found = measure(p, y, np.arange(200), chosen, times=300, seed=number)["accuracy"]
        low, high = ends(found)
        missed += not low <= 0.8 <= high
    assert missed <= 8


def test_repeated_crops_do_not_sharpen_the_interval() -> None:
    """Ten copies of every item, of one cluster each, leave the interval as wide as it was."""
    rng = np.random.default_rng(1)
    p, y = rng.random(60), rng.integers(0, 2, 60)
    once = measure(p, y, np.arange(60), {"auc": METRICS["auc"]}, seed=3)["auc"]
    copies = measure(np.repeat(p, 10), np.repeat(y, 10), np.repeat(np.arange(60), 10), {"auc": METRICS["auc"]}, seed=3)
    assert copies["auc"].value == pytest.approx(once.value)
    (low, high), (lowest, highest) = ends(once), ends(copies["auc"])
    assert highest - lowest == pytest.approx(high - low, rel=0.05)


@given(count=st.integers(1, 40), copies=st.integers(1, 4), perfect=st.booleans(), seed=st.integers(0, 9))
def test_an_interval_needs_ten_clusters_of_each_class(count: int, copies: int, perfect: bool, seed: int) -> None:
    """Below FEWEST clusters of the rarer class there is none, however many crops; from there on no end is a certainty."""
    y = np.repeat([0] * 40 + [1] * count, copies)
    clusters = np.repeat(np.arange(40 + count), copies)
    noise = np.random.default_rng(seed).random(len(y))
    p = np.where(y == 1, 0.9, 0.1) if perfect else noise
    chosen = {
        name: METRICS[name] for name in ("auc", "mcc", "accuracy", "type_1_error", "type_2_error", "tpr_at_5_fpr")
    }
    for name, found in measure(p, y, clusters, chosen, times=60, seed=seed).items():
        if count < FEWEST and name != "type_1_error":  # which looks at the forty reals alone
            assert (found.low, found.high) == (None, None)
            assert span(found.to_json()) == "too few"
            continue
        low, high = ends(found)
        assert low <= found.value <= high
        assert low < high or not perfect, f"{name} is called certain"


def test_six_clusters_without_a_fault_have_no_interval() -> None:
    """AUC 1.000 over six photographs is not "1.00 to 1.00"; over forty the end is the exact one for a share."""
    few = measure(*separated(6), {"auc": METRICS["auc"]})["auc"]
    assert few.to_json() == {"value": 1.0, "low": None, "high": None}
    many = measure(*separated(40), {"auc": METRICS["auc"]})["auc"]
    assert many.low == pytest.approx(binomtest(40, 40).proportion_ci(0.95).low)
    assert many.high == 1.0


def separated(clusters: int) -> tuple[Floats, Ints, Ints]:
    """Four crops of each of so many photographs and of their twins, all told apart."""
    y = np.tile([0, 1], 4 * clusters)
    return 0.2 + 0.6 * y, y, np.repeat(np.arange(clusters), 8)


def ends(found: Interval) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def answers(p: Floats, y: Ints) -> Answers:
    count = len(p)
    origin = np.where(y == 1, np.where(np.arange(count) % 2 == 0, "maker", "other"), "camera")
    size = np.array([100, 300] * (count // 2))
    return Answers(p, y, np.arange(count) % 4, np.arange(count) // 4, origin, np.full(count, "camera"), size, size)


def test_summary_has_every_part_and_is_stable() -> None:
    """All that a report promises is there, within its bounds, and the same again under the same seed."""
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 80)
    given_answers = answers(np.clip(rng.normal(0.3 + 0.4 * y, 0.2), 0, 1), y)
    found = summarise(given_answers, times=100, seed=5)
    assert found == summarise(given_answers, times=100, seed=5)
    assert set(found) == {*METRICS, "by_level", "by_generator", "by_source", "by_size"}
    assert set(found["by_level"]) == {"0", "1", "2", "3"}
    assert set(found["by_generator"]) == {"maker", "other"}
    assert set(found["by_size"]) == {"below 128", "256 to 511"}
    for name in set(METRICS) - set(RATES):
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"], name
    assert span(found["tpr_at_1_fpr"]) == span(found["tpr_at_5_fpr"]) == "too few"  # reals for one in so many
    for part in (found, *found["by_generator"].values(), *found["by_source"].values()):
        assert {"value", "low", "high"} == set(part["tpr_at_1_fpr"]["threshold"])


@given(seed=st.integers(0, 99), reals=st.integers(1, 60), digits=st.integers(1, 3), fpr=st.sampled_from([0.01, 0.05]))
def test_what_is_above_the_threshold_is_what_is_found(seed: int, reals: int, digits: int, fpr: float) -> None:
    """The threshold is an answer to a real item; above it lie no more reals than allowed, and as many fakes as told."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], [reals, 20])
    p = rng.random(len(y)).round(digits)
    once = np.ones((1, len(y)))
    above = float(threshold_at(fpr)(p, y, once)[0])
    assert above in p[y == 0]
    assert np.mean(p[y == 0] > above) <= fpr + 1e-9 < np.mean(p[y == 0] >= above) + 1e-9
    assert np.mean(p[y == 1] > above) == pytest.approx(tpr_at(fpr)(p, y, once)[0])


def test_reward_is_what_long_windows_pay() -> None:
    """The plug-in reward lies within the spread of the validator's own windows, near their mean."""
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 4000)
    right = rng.random(4000) < 0.85
    p = np.where(right == (y == 1), 0.9, 0.1)
    played = reward_windows(answers(p, y), seed=0)
    expected = METRICS["reward"](p, y, np.ones((1, 4000)))[0]
    assert played["mean"] == pytest.approx(expected, abs=0.02)
    assert played["low"] < expected < played["high"]


def test_constant_answers_earn_a_quarter() -> None:
    """Whoever always says the same is right half of the time and correlates with nothing."""
    y = np.array([0, 1] * 10)
    for value in (0.0, 1.0):
        assert METRICS["reward"](np.full(20, value), y, np.ones((1, 20)))[0] == pytest.approx(0.25)
