"""Why one hotkey earns what it earns: its rounds in a journal, counted by what was asked and how it answered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from subnet.errors import SettingsError
from subnet.evidence.entries.entry import Entry
from subnet.evidence.records import (
    DEPARTED,
    ROUND,
    RULES,
    DepartedRecord,
    OutcomeRecord,
    RoundRecord,
    RulesRecord,
    outcomes,
    read_record,
)
from subnet.evidence.replay import Replay, replay
from subnet.game.answer_table import RecentAnswers
from subnet.game.canaries import Gap, Hits, gap
from subnet.game.likeness import Likeness, Link, likeness
from subnet.game.scoring import payment, reward, score
from subnet.types import Score


@dataclass(frozen=True)
class Tally:
    """Rounds of one kind: asked, answered right, answered wrong, and failed. Failures count as wrong answers."""

    asked: int = 0
    right: int = 0
    failed: int = 0

    def plus(self, right: bool, failed: bool) -> Tally:
        """This tally with one more round."""
        return Tally(self.asked + 1, self.right + right, self.failed + failed)

    @property
    def share(self) -> float:
        """Right answers among all that was asked, 0..1."""
        return self.right / self.asked if self.asked else 0.0


@dataclass(frozen=True)
class Turn:
    """One round from one hotkey's side. `answer` is P(synthetic), or the name of the failure."""

    number: int
    modality: str
    label: str
    origin: str
    level: int
    answer: float | str
    right: bool
    score: float  # after the round


@dataclass(frozen=True)
class Pay:
    """What weights follow from, all 0..1: `average` as far as the score bears it out, which is `bound` where averages
    are paid at all (None: the score itself is `paid`); and this hotkey's weight in the last setting that the chain
    took, in `block`.

    `reward` is that of the windows as they are now, of both modalities; with each answer the score goes `alpha` of the
    way to the reward of that moment, 0 for a failure.
    `weight` and `block` are None where the journal tells of none; `sharing` are the hotkeys, itself among them,
    that had one place together in it.
    """

    reward: float
    alpha: float
    average: float
    bound: float | None
    paid: float
    weight: float | None
    block: int | None
    sharing: tuple[str, ...]


@dataclass(frozen=True)
class Account:
    """`by` holds tallies by modality, label, level, origin and detector; `share` is the part of all scores, 0..1.

    `likeness` is that of all miners over the journal's last rounds; `canaries` is None without public origins.
    """

    score: Score
    share: float
    rank: int
    miners: int
    by: Mapping[str, Mapping[str, Tally]]
    turns: tuple[Turn, ...]
    likeness: Likeness
    canaries: Gap | None
    pay: Pay

    @property
    def cluster(self) -> tuple[str, ...]:
        """The miners that answer like this one, itself among them; () where none does."""
        return self.likeness.cluster_of.get(self.score.hotkey, ())

    @property
    def links(self) -> tuple[Link, ...]:
        """What joins this miner to others."""
        return tuple(link for link in self.likeness.links if self.score.hotkey in (link.first, link.second))


@dataclass(frozen=True)
class _Asked:
    """One round from one hotkey's side; the outcomes of others are left out of `played`."""

    played: RoundRecord
    row: OutcomeRecord
    public: bool  # its origin is one that anybody can download


@dataclass
class _Journal:
    """What is collected while a journal is replayed: rounds by hotkey, and everybody's last answers."""

    beginning: str
    rounds: dict[str, list[_Asked]] = field(default_factory=dict)
    answers: RecentAnswers = field(default_factory=RecentAnswers)
    public: frozenset[str] = frozenset()


KEYS = ("modality", "label", "level", "origin", "detector")


def kinds_of(played: RoundRecord, row: OutcomeRecord) -> dict[str, str]:
    """What a round was to the hotkey of `row`, by the keys of `Account.by`."""
    return {
        "modality": played.modality.value,
        "label": row.truth(played.label).name.lower(),
        "level": f"level {played.level}",
        "origin": played.origin,
        "detector": row.detector or "not said",
    }


def account(entries: Iterable[Entry], hotkey: str) -> Account:
    """What a journal says of `hotkey` (an address, or the first letters of one) since it last came to the subnet.

    Every score is computed again on the way. Raises JournalBroken where one does not follow from the rules, and
    SettingsError for a hotkey that is not in the journal, or letters that fit several.
    """
    collected = _Journal(hotkey)
    result = replay(_watched(entries, collected))
    history = result.history
    full = _full(hotkey, history.standings)
    scores = {name: standing.score for name, standing in history.standings.items()}
    rounds = collected.rounds.get(full, [])
    tallies: dict[str, dict[str, Tally]] = {key: {} for key in KEYS}
    for asked in rounds:
        row = asked.row
        for key, kind in kinds_of(asked.played, row).items():
            before = tallies[key].get(kind, Tally())
            tallies[key][kind] = before.plus(row.correct(asked.played.label), row.failure is not None)
    return Account(
        score=score(history, full),
        share=scores[full] / (sum(scores.values()) or 1.0),
        rank=1 + sum(value > scores[full] for value in scores.values()),
        miners=len(scores),
        by={key: dict(sorted(kinds.items())) for key, kinds in tallies.items()},
        turns=tuple(turn_of(asked.played, asked.row) for asked in rounds),
        likeness=likeness(collected.answers.table()),
        canaries=_canaries(rounds),
        pay=_pay(result, full),
    )


def _pay(result: Replay, hotkey: str) -> Pay:
    standing, smoothing, setting = result.history[hotkey], result.smoothing, result.setting
    sharing = next((cluster for cluster in result.clusters if hotkey in cluster), ())
    return Pay(
        reward=reward(standing),
        alpha=smoothing.alpha,
        average=standing.average,
        bound=smoothing.headroom * standing.score if smoothing.averaging else None,
        paid=payment(standing, smoothing),
        weight=setting.weights.get(hotkey, 0.0) if setting else None,
        block=setting.block if setting else None,
        sharing=tuple(name for name in sharing if setting and name in setting.weights),
    )


def _canaries(rounds: Iterable[_Asked]) -> Gap | None:
    """Public against fresh media, by modality and label; twins' photographs have no origin of their own."""
    counts: dict[tuple[str, bool], dict[bool, Hits]] = {}
    for asked in rounds:
        if asked.row.label is None:
            kind = counts.setdefault((asked.played.modality, bool(asked.played.label)), {})
            before = kind.get(asked.public, Hits())
            kind[asked.public] = Hits(before.right + asked.row.correct(asked.played.label), before.asked + 1)
    return gap([(kind.get(True, Hits()), kind.get(False, Hits())) for kind in counts.values()])


def _full(hotkey: str, known: Iterable[str]) -> str:
    fitting = [name for name in known if name.startswith(hotkey)]
    if len(fitting) == 1 or hotkey in fitting:
        return hotkey if hotkey in fitting else fitting[0]
    if fitting:
        raise SettingsError(f"hotkey {hotkey}: {len(fitting)} addresses begin like that; give more of it")
    raise SettingsError(
        f"hotkey {hotkey}: the journal has no rounds of it since it last left the subnet, or none at all"
    )


def _watched(entries: Iterable[Entry], into: _Journal) -> Iterator[Entry]:
    """The same entries; meanwhile `into` collects what hotkeys of its beginning were asked since they came.

    Counted rounds only, each without the answers of others: a journal of a month would not fit in memory.
    """
    for entry in entries:
        yield entry
        if entry.kind == RULES:
            into.public = frozenset(read_record(RulesRecord, entry).sampling.get("public", ()))
        elif entry.kind == DEPARTED:
            for hotkey in read_record(DepartedRecord, entry).hotkeys:
                into.rounds.pop(hotkey, None)
        elif entry.kind == ROUND:
            played = read_record(RoundRecord, entry)
            if not played.void:
                _collect(played, into)


def _collect(played: RoundRecord, into: _Journal) -> None:
    into.answers.add(outcomes(played))
    public = f"{played.modality}/{played.label.name.lower()}/{played.origin}" in into.public
    alone = played.model_copy(update={"outcomes": ()})
    for row in played.outcomes:
        if row.hotkey.startswith(into.beginning):
            into.rounds.setdefault(row.hotkey, []).append(_Asked(alone, row, public))


def turn_of(played: RoundRecord, row: OutcomeRecord) -> Turn:
    """The round from the side of the hotkey of `row`."""
    answer = row.failure.value if row.failure else row.p_synthetic
    return Turn(
        played.number,
        played.modality.value,
        row.truth(played.label).name.lower(),
        played.origin,
        played.level,
        answer if answer is not None else "nothing",
        row.correct(played.label),
        row.score,
    )
