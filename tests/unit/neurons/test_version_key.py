"""The version key that goes with weights: another one as soon as the same answers are paid otherwise."""

from __future__ import annotations

import pytest

from neurons.settings import VERSION_KEY
from subnet.chain.weights import normalise_u16
from subnet.game.history import History
from subnet.game.scoring import SMOOTHING, Smoothing, settle, weights
from subnet.types import Failure, Label, Modality, Neuron, Outcome, Prediction

MINERS = tuple(Neuron(uid, f"miner-{uid}", "cold", 0.0, False) for uid in range(4))
PAID = {  # u16 weights by version key, of the same answers: whoever changes them raises the key and adds a row
    1: {0: 65535, 1: 48390, 2: 17967, 3: 13867},
    2: {0: 65535, 1: 48202, 2: 17562, 3: 13696},
}
BEFORE = Smoothing(averaging=0, headroom=1.0)  # of version 0.1.0, with key 1


def answer(number: int, uid: int) -> Prediction | Failure:
    """Miner `uid` is right in the fewer rounds the higher its uid, and late in one of 29."""
    if (number + 7 * uid) % 29 == 0:
        return Failure.TIMEOUT
    right = (number * (uid + 3)) % 10 >= 2 * uid
    return Prediction(float(label(number) if right else 1 - label(number)))


def label(number: int) -> Label:
    return Label((number * number // 3) % 2)


def paid(smoothing: Smoothing) -> dict[int, int]:
    history = History()
    for number in range(700):
        modality = Modality.VIDEO if number % 20 == 0 else Modality.IMAGE
        asked = [n for n in MINERS if (number + n.uid) % 3]
        outcomes = [
            Outcome(n.hotkey, str(number), modality, label(number), answer(number, n.uid), 0.1, number) for n in asked
        ]
        history = settle(history, outcomes, smoothing)
    return normalise_u16(weights(history, MINERS, 1000.0, smoothing))


@pytest.mark.parametrize(("key", "smoothing"), [(1, BEFORE), (VERSION_KEY, SMOOTHING)])
def test_the_key_names_what_is_paid(key: int, smoothing: Smoothing) -> None:
    """Averages came with key 2: the same answers are paid as they were with this key before, and not as with key 1."""
    assert paid(smoothing) == PAID[key]
    assert max(PAID) == VERSION_KEY
    assert PAID[1] != PAID[2]
