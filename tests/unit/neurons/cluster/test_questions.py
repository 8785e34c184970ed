"""Answers for verdicts come back as they were said."""

from __future__ import annotations

from typing import Any

import pytest

from neurons.cluster.batch_format import About, to_reply
from neurons.cluster.questions import Account, Parts
from subnet.types import Media
from tests.unit.neurons.replicas.test_replica import PICTURE

ABOUT = About("retrieval", "ab" * 32, 1, 0.1)
KNOWN = {
    "name": "camera/one",
    "label": "real",
    "by": "hash",
    "bits": 3,
    "similarity": 0.9,
    "distance": 0.1,
    "margin": 0.2,
}


@pytest.mark.parametrize(
    "said", [{}, {"known": None}, {"known": KNOWN}, {"shares": [{"member": "npr", "log_odds": 0.1, "contribution": -1e-17}]}]
)  # fmt: skip
def test_accounts_come_back(said: dict[str, Any]) -> None:
    """What was not said is not there, and numbers are the same to their last bit."""
    told = Account.model_validate(said).model_dump(mode="json", exclude_unset=True)
    assert Account.read(to_reply(ABOUT, told=told).encode(), [PICTURE]).said() == said


def test_every_item_has_its_answer() -> None:
    """No fewer, no more."""
    batch: list[Media] = [PICTURE, PICTURE]
    for count in range(4):
        reply = to_reply(ABOUT, told={"p_synthetic": [0.5] * count, "distances": None}).encode()
        if count == len(batch):
            assert Parts.read(reply, batch).p_synthetic == [0.5, 0.5]
        else:
            with pytest.raises(ValueError, match="does not answer the question for parts of 2 items"):
                Parts.read(reply, batch)
