"""Which requests were answered: an answer is to one of them, so its nonce never comes again. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator

import numpy as np

from subnet.evidence.findings import Finding, unproven
from subnet.evidence.records import RoundRecord


class Nonces:
    """Follows rounds. A nonce takes 8 bytes, in whatever order they come.

    Those of a hotkey lie in runs that rise. Where one comes out of order a new run begins, and runs no longer than the
    one behind them are merged: there are at most as many as their number has binary digits.
    """

    def __init__(self) -> None:
        self._runs: dict[str, list[array[int]]] = {}

    def add(self, seq: int, played: RoundRecord) -> Iterator[Finding]:
        """The answers of one round."""
        for row in played.outcomes:
            if row.nonce is None:
                continue
            runs = self._runs.setdefault(row.hotkey, [])
            if len(runs) == 1 and runs[0][-1] < row.nonce:  # nearly always
                runs[0].append(row.nonce)
                continue
            if any(_holds(run, row.nonce) for run in runs):
                yield Finding(seq, f"the answer of {row.hotkey} was given to an earlier request")
                continue
            if any(run[-1] > row.nonce for run in runs):
                yield unproven(seq, "the order of answers: the validator's clock went back")
            if not runs or runs[-1][-1] > row.nonce:
                _merge(runs)
                runs.append(array("Q"))
            runs[-1].append(row.nonce)


def _holds(run: array[int], nonce: int) -> bool:
    place = len(run) if run[-1] < nonce else bisect_left(run, nonce)
    return place < len(run) and run[place] == nonce


def _merge(runs: list[array[int]]) -> None:
    while len(runs) > 1 and len(runs[-2]) <= len(runs[-1]):
        last = runs.pop()
        merged = np.sort(np.concatenate((np.asarray(runs[-1]), np.asarray(last))), kind="stable")
        runs[-1] = array("Q", merged.tobytes())
