"""What became of weights, by what stands on chain later."""

from __future__ import annotations

import pytest

from subnet.chain.receipts import ERA_BLOCKS, Stand, fate_of
from subnet.types import Submission

SENT = 1000  # block


@pytest.mark.parametrize(
    ("block", "last", "fate"),
    [
        (SENT, 0, Submission.AMBIGUOUS),
        (SENT + ERA_BLOCKS, 990, Submission.AMBIGUOUS),
        (SENT + ERA_BLOCKS + 1, 990, Submission.REJECTED),
        (SENT + 3, SENT + 1, Submission.OK),
        (SENT - 20, 900, Submission.AMBIGUOUS),  # a node that lags, or a reorganisation
        (SENT - 300, 690, Submission.REJECTED),  # a chain that was reset: what was sent is not in it
    ],
)
def test_the_fate_of_weights(block: int, last: int, fate: Submission) -> None:
    """Known once they stand, once their era is over, or once the chain that they were sent to is gone."""
    receipt = fate_of(SENT, Stand(block=block, uid=0, last=last, limit=2))
    assert receipt.submission is fate
    assert receipt.blocks is None or 0 < receipt.blocks <= 2 * ERA_BLOCKS
