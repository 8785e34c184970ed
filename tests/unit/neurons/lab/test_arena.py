"""An arena plays the rules themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurons.lab.arena import Arena, field_of
from neurons.lab.rules import LabRules
from neurons.lab.strategies import HONEST, TRICKS, honest_name
from neurons.lab.validators import COPIER, RANDOM
from neurons.lab.validators import HONEST as UPRIGHT
from subnet.errors import SettingsError
from subnet.game.history import History
from subnet.game.scoring import settle, weights
from subnet.types import Label, Outcome, Prediction

SMALL = LabRules(miners=40, sample_size=20, tempo=20, epoch_length=5, interval=12.0)
ROWS = {row.name: row for row in (*HONEST, *TRICKS)}
CAST = [replace(ROWS[name], keys=4) for name in (honest_name(0.9), honest_name(0.6), "random", "new hotkey in 25")]


def test_scores_and_weights_are_those_of_the_rules() -> None:
    """The outcomes that were played, settled by hand, give the same history to the last bit, and the same weights."""
    arena = Arena(SMALL, field_of(SMALL, CAST[:3]), [UPRIGHT], 3)
    stream: list[list[Outcome]] = []
    arena.record = stream
    arena.play(60)
    history = History()
    for outcomes in stream:
        history = settle(history, outcomes)
    assert history == arena.validators[0].history
    arena.validators[0].ready = True
    arena._set(arena.validators[0])
    assert arena.validators[0].last == weights(history, arena.snapshot.neurons, 1000.0)


def test_same_seed_same_numbers_and_another_gives_others() -> None:
    """A laboratory that cannot be repeated proves nothing."""
    shares = []
    for seed in (5, 5, 6):
        arena = Arena(SMALL, field_of(SMALL, CAST), [UPRIGHT, UPRIGHT], seed)
        arena.play(80)
        shares.append(list(arena.incentive().values()))
    assert shares[0] == shares[1] != shares[2]
    assert sum(shares[0]) == pytest.approx(1)


def test_detectors_are_as_right_as_their_skill_says() -> None:
    """At every level and label; and two keys of one model agree more than two models do."""
    rules = replace(SMALL, miners=60, sample_size=60)
    cast = [replace(ROWS[honest_name(0.8)], keys=30), replace(ROWS["ten keys, one model"], skill=0.8, keys=30)]
    arena = Arena(rules, cast, [UPRIGHT], 1)
    stream: list[list[Outcome]] = []
    arena.record = stream
    arena.play(600)
    right = np.array([[o.correct for o in sorted(outcomes, key=lambda o: o.hotkey)] for outcomes in stream], float)
    assert right.mean() == pytest.approx(0.8, abs=0.02)
    agreement = np.corrcoef(right.T)
    apart, together = agreement[:30, :30], agreement[30:, 30:]
    pairs = np.triu_indices(30, 1)
    assert together[pairs].mean() > apart[pairs].mean() + 0.1 > 0.1


def test_a_new_hotkey_inherits_nothing() -> None:
    """Neither history nor weights of the uid's last owner: the chain counts weights only from after it came."""
    arena = Arena(SMALL, field_of(SMALL, CAST), [UPRIGHT], 2)
    arena.play(40)
    key = arena.keys[0]
    arena.admit([key], key.strategy)
    fresh = arena.keys[0]
    assert fresh.hotkey != key.hotkey
    assert key.hotkey not in arena.validators[0].history.standings
    assert arena.validators[0].history[fresh.hotkey].asked == 0
    assert arena.snapshot.neurons[key.uid].hotkey == fresh.hotkey


def test_twin_rounds_ask_both_labels() -> None:
    """With twins in every round each has real and synthetic answers, judged by its own truth."""
    arena = Arena(replace(SMALL, twin_share=1.0), field_of(SMALL, CAST[:1]), [UPRIGHT], 4)
    stream: list[list[Outcome]] = []
    arena.record = stream
    arena.play(50)
    mixed = [outcomes for outcomes in stream if {o.label for o in outcomes} == set(Label)]
    assert len(mixed) == 50
    correct = [o.correct for outcomes in stream for o in outcomes if isinstance(o.answer, Prediction)]
    assert np.mean(correct) > 0.8


def test_cheating_validators_ask_nobody() -> None:
    """A copier and a die set weights without a round of their own."""
    arena = Arena(SMALL, field_of(SMALL, CAST[:2]), [UPRIGHT, COPIER, RANDOM], 5)
    arena.play(120)
    assert [len(v.labels) for v in arena.validators] == [120, 0, 0]
    assert all(v.last for v in arena.validators)


def test_too_many_keys_are_refused() -> None:
    """A subnet has only so many places."""
    with pytest.raises(SettingsError, match="miners: 10 are too few for 16 keys"):
        field_of(replace(SMALL, miners=10), CAST)
