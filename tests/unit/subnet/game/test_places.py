"""Clusters share one place: what follows from them, and that they follow from the rounds before this hundred alone."""

from __future__ import annotations

import gc
import math
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.game.answer_table import KINDS, AnswerTable, RecentAnswers
from subnet.game.history import History
from subnet.game.likeness import likeness
from subnet.game.places import HUNDRED, WINDOW, Places, share_places, share_uids
from subnet.game.scoring import retain, settle
from subnet.types import Label, Modality, Neuron, Outcome, Prediction
from tests.unit.subnet.game.crowds import crowd

FULL = WINDOW + 2 * HUNDRED + 50  # rounds
COPIES = ("m000", "m001", "m002")


def rounds(table: AnswerTable) -> list[list[Outcome]]:
    """The rounds of a table whose miners were asked all of them."""
    return [
        [
            Outcome(hotkey, "c", *KINDS[kind], Prediction(float(p)), 0.1, number)
            for hotkey, p in zip(table.hotkeys, column, strict=True)
            if not np.isnan(p)
        ]
        for number, (kind, column) in enumerate(zip(table.kinds, table.p.T, strict=True))
    ]


def test_clusters_are_those_of_the_hundreds_before() -> None:
    """Whatever is answered since, and whoever computes them when: the same, until the next hundred begins."""
    table = crowd(4, miners=16, rounds=3 * HUNDRED, asked=16, copies=3)
    early, late = Places(), Places()
    expected = likeness(AnswerTable(table.hotkeys, table.p[:, : 2 * HUNDRED], table.kinds[: 2 * HUNDRED])).clusters
    for number, outcomes in enumerate(rounds(table)):
        early.add(number, outcomes)
        late.add(number, outcomes)
        if number == 2 * HUNDRED:
            assert early.known is None
            assert early.clusters() == expected == (COPIES,)
    assert early.known == late.clusters() == expected


def test_only_the_last_rounds_are_compared() -> None:
    """The window is bounded, and skipped numbers and void rounds take no part in it."""
    places, one = Places(), rounds(crowd(1, miners=4, rounds=1, asked=4))[0]
    for number in range(0, 3 * (WINDOW + 300), 3):
        places.add(number, one)
    assert places.table().p.shape == (4, WINDOW)


def test_memory_is_flat_once_the_windows_are_full() -> None:
    """What the game remembers of 8 miners takes no more after 1,000 further rounds, whoever leaves and comes."""
    places, recent, history, dice = Places(), RecentAnswers(WINDOW), History(), random.Random(1)

    def play(first: int, last: int) -> int:
        nonlocal history
        for number in range(first, last):
            hotkeys = [*(f"m{n:03d}" for n in range(7)), f"newcomer {number // 10}"]
            modality = Modality.VIDEO if number % 10 == 0 else Modality.IMAGE
            outcomes = [
                Outcome(hotkey, "c", modality, Label(number % 2), Prediction(dice.random()), 0.1, number)
                for hotkey in hotkeys
            ]
            places.add(number, outcomes)
            recent.add(outcomes)
            history = retain(settle(history, outcomes), frozenset(hotkeys))
        gc.collect()  # what waits for the collector is no growth
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        full, later = play(0, FULL), play(FULL, FULL + 1000)
    finally:
        tracemalloc.stop()
    assert places.table().p.shape[1] == recent.table().p.shape[1] == WINDOW
    assert full < 2_500_000
    assert later - full < 220_000  # one window without an end would take 370,000


def test_what_came_too_late_is_not_taken() -> None:
    """Clusters that a thread computed while the hundred ended are of the one before."""
    places, one = Places(), rounds(crowd(1, miners=4, rounds=1, asked=4))[0]
    places.add(HUNDRED - 1, one)
    hundred = places.hundred
    places.add(HUNDRED, one)
    places.learn(hundred, (COPIES,))
    assert (places.known, places.clusters()) == (None, ())


def test_weights_by_uid_are_shared_by_hotkey() -> None:
    """Two of three have one place; who has no weight gets none."""
    neurons = [Neuron(uid, f"m{uid}", "c", 0.0, False, None) for uid in range(4)]
    shared = share_uids({0: 0.5, 1: 0.25, 2: 0.25}, neurons, (("m1", "m2", "m3"),))
    assert shared == pytest.approx({0: 2 / 3, 1: 1 / 6, 2: 1 / 6})


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 1), min_size=1), st.permutations("abcdef"))
def test_a_cluster_shares_one_place(weights: dict[str, float], order: list[str]) -> None:
    """Its members together stand where the best of them stood alone; ratios among others and the sum stay."""
    clusters = [order[:3], order[3:5]]
    shared = share_places(weights, clusters)
    assert shared.keys() == weights.keys()
    assert math.isclose(sum(shared.values()), sum(weights.values()), rel_tol=1e-9, abs_tol=1e-12)
    scale = math.fsum(max((weights.get(h, 0) for h in group), default=0) for group in clusters)
    scale += math.fsum(w for h, w in weights.items() if not any(h in group for group in clusters))
    factor = sum(weights.values()) / scale if scale else 1.0
    for hotkey, weight in weights.items():
        group = next((group for group in clusters if hotkey in group), [hotkey])
        members = [weights[h] for h in group if weights.get(h, 0) > 0]
        place = max(members) / len(members) if weight > 0 else 0.0
        assert math.isclose(shared[hotkey], factor * place, rel_tol=1e-9, abs_tol=1e-12)


def test_copies_gain_nothing_by_their_number() -> None:
    """Fifty keys with one model beside 200 honest miners have 24 % of equal weights, and one part in 201 when shared."""
    weights = {f"m{n}": 1 / 250 for n in range(250)}
    shared = share_places(weights, [[f"m{n}" for n in range(50)]])
    assert sum(shared[f"m{n}"] for n in range(50)) == pytest.approx(1 / 201)
