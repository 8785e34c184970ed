"""One place for a cluster of miners that answer alike, where a validator shares weights so (`share_places`). Pure.

Clusters follow from the journal alone: those of `subnet.game.likeness` over the last `WINDOW` rounds that counted, as
they stood when the current hundred of rounds began. So they are computed at most once in a hundred rounds, and a
setting of weights needs no answer that came while they were computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from subnet.game.answer_table import AnswerTable, RecentAnswers
from subnet.types import Neuron, Outcome

WINDOW = 2_000  # rounds that count: a day's, and 78 of each pair among 256 miners that are asked by fifties
HUNDRED = 100  # numbers of rounds

Clusters = tuple[tuple[str, ...], ...]  # of hotkeys


class Places:
    """The answers that clusters follow from, round after round, and the clusters themselves."""

    def __init__(self) -> None:
        self.hundred = 0
        self._known: Clusters | None = None
        self._before, self._since = RecentAnswers(WINDOW), list[list[Outcome]]()

    def add(self, number: int, outcomes: Iterable[Outcome]) -> None:
        """Round `number`, which counted."""
        if number // HUNDRED != self.hundred:
            for played in self._since:
                self._before.add(played)
            self.hundred, self._since, self._known = number // HUNDRED, [], None
        self._since.append(list(outcomes))

    def table(self) -> AnswerTable:
        """The answers that the clusters of this hundred follow from."""
        return self._before.table()

    @property
    def known(self) -> Clusters | None:
        """The clusters of this hundred, None before they were computed."""
        return self._known

    def learn(self, hundred: int, clusters: Clusters) -> None:
        """Take over clusters that were computed from the `table` of that hundred, unless it is over."""
        if hundred == self.hundred:
            self._known = clusters

    def clusters(self) -> Clusters:
        """The clusters of this hundred, computed where they are not known: half a second for 256 miners."""
        if self._known is None:
            from subnet.game.likeness import likeness  # scipy: 0.3 s that a start does without

            self._known = likeness(self.table()).clusters
        return self._known


def share_places(weights: Mapping[str, float], clusters: Sequence[Sequence[str]]) -> dict[str, float]:
    """Weights by hotkey (at least 0) when each cluster has one place: its best member's, in equal parts; sum kept.

    Nobody else's share of the rest changes. Hotkeys of a cluster without weight take no part. No weight comes from
    nothing: all zero stays all zero.
    """
    parts = dict(weights)
    for cluster in clusters:
        members = [hotkey for hotkey in cluster if weights.get(hotkey, 0.0) > 0]
        for hotkey in members:
            parts[hotkey] = max(weights[member] for member in members) / len(members)
    before, after = math.fsum(weights.values()), math.fsum(parts.values())
    return {hotkey: part * before / after for hotkey, part in parts.items()} if after else parts


def share_uids(weights: Mapping[int, float], neurons: Sequence[Neuron], clusters: Clusters) -> dict[int, float]:
    """Weights by uid, shared as `share_places` does by hotkey."""
    hotkeys = {neuron.uid: neuron.hotkey for neuron in neurons}
    shared = share_places({hotkeys[uid]: weight for uid, weight in weights.items()}, clusters)
    return {uid: shared[hotkeys[uid]] for uid in weights}
