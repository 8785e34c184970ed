"""Replicas as what verdicts ask: everything that is said of one file comes from one detector with the same weights.

Nothing is remembered from one file to the next, so that other weights, and replicas that were away, count at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from detectors.claims.shelf import Claims
from detectors.cluster.elsewhere import Elsewhere
from neurons.cluster import remote
from neurons.cluster.batch_format import About, pack
from neurons.cluster.questions import Account, LogOdds, Moments, Nature, Parts, Told
from neurons.cluster.remote import Replicas
from subnet.errors import MediaError, Overloaded
from subnet.types import Media, Modality, Prediction

FILE_SECONDS: Final = 180.0  # for all questions about a file
EACH_SECONDS: Final = 30.0  # for one replica to answer: before its first answer it loads a network
BATCH_BYTES: Final = 16 * 2**20  # of pixels in one request, where these are not of a single item
PASS: Final = 8  # items, or a part of it, go through a network together (`detectors.torch_detector`)
LANES: Final = 8  # requests at once about one file

T = TypeVar("T", bound=Told)


def open_there(replicas: Replicas, modality: Modality) -> tuple[RemoteJudge, Claims]:
    """What answers there for this modality, for one file, and what is known of it. Raises Overloaded."""
    judge = RemoteJudge(replicas, modality)
    return judge, Claims(judge.card)  # the density stays where features are


class RemoteJudge(Elsewhere):
    """The replicas of one modality, for one file."""

    def __init__(self, replicas: Replicas, modality: Modality) -> None:
        """Raises Overloaded where nobody answers, or not as replicas of this modality do."""
        self._replicas, self._ends, self.modality = replicas, time.monotonic() + FILE_SECONDS, modality
        if replicas.why.get(modality):
            raise Overloaded(replicas.why[modality])
        try:
            self._first, nature = self._ask(Nature, (), None)
        except (MediaError, MemoryError) as error:  # of an empty batch
            raise self._odd(str(error)) from error
        self.name, self.weights_hash = self._first.name, self._first.weights_hash
        self.calibration, self.way, self.card = nature.calibration, nature.way, nature.card
        if nature.modality is not modality:
            raise self._odd(f"{self.name} judges {nature.modality}s")
        if nature.card.weights != self.weights_hash:
            raise self._odd(f"the card is of weights {nature.card.weights[:12]}, not {self.weights_hash[:12]}")

    def parts(self, batch: Sequence[Media]) -> tuple[list[Prediction], list[float] | None]:
        told = self._in_batches(Parts, batch)
        known = [each.distances for each in told if each.distances is not None]
        measured = self.card.reach is not None and self.card.reach.farthest is not None
        if len(known) < len(told) and (known or measured):
            raise self._odd("the card has a reach, and no distance is told")
        distances = [distance for each in known for distance in each]
        return [Prediction(p) for each in told for p in each.p_synthetic], distances or None

    def log_odds(self, batch: Sequence[Media]) -> list[float]:
        return [value for each in self._in_batches(LogOdds, batch) for value in each.values]

    def moments(self, media: Media) -> list[tuple[int, float]]:
        return self._ask(Moments, (media,), self._first)[1].values

    def account(self, media: Media) -> Mapping[str, Any]:
        return self._ask(Account, (media,), self._first)[1].said()

    def _in_batches(self, kind: type[T], batch: Sequence[Media]) -> list[T]:
        """Answers to all of a batch, at as many replicas at once as there are."""
        lanes = min(LANES, self._first.replicas)
        parts = split(batch, min(math.ceil(len(batch) / lanes), int(remote.BUDGET / self._first.seconds)))
        with ThreadPoolExecutor(lanes, "asking") as threads:
            return [told for some in threads.map(partial(self._in_halves, kind), parts) for told in some]

    def _in_halves(self, kind: type[T], part: Sequence[Media]) -> list[T]:
        """The answer to a part, or to halves of it that fit into a replica's memory."""
        try:
            self._first, answer = self._ask(kind, part, self._first)
        except MemoryError as error:
            if len(part) == 1:
                raise Overloaded(f"{self.modality}s: {self.name} has no memory for a single item") from error
            half = len(part) // 2
            return [*self._in_halves(kind, part[:half]), *self._in_halves(kind, part[half:])]
        return [answer]

    def _ask(self, kind: type[T], batch: Sequence[Media], first: About | None) -> tuple[About, T]:
        def read(reply: bytes) -> T:
            return kind.read(reply, batch)

        return self._replicas.ask(
            self.modality, pack(batch), read, self._ends, first=first, question=kind.question, each=EACH_SECONDS
        )

    def _odd(self, why: str) -> Overloaded:
        return Overloaded(f"{self.modality}s: {self._replicas.address} does not answer as replicas do: {why}")


def split(batch: Sequence[Media], most: int) -> list[Sequence[Media]]:
    """A batch in parts of at most `most` items (and one at least) and BATCH_BYTES.

    Where there is room for whole passes of a network there are no others, so that numbers are to the last bit those
    that one machine would find.
    """
    each = max((media.frames.nbytes for media in batch), default=1)
    size = max(1, min(most, BATCH_BYTES // each))
    size -= size % PASS if size > PASS else 0
    return [batch[first : first + size] for first in range(0, len(batch), size)]
