"""What is recorded of every round, and how anyone computes the scores again from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from subnet.errors import JournalBroken
from subnet.evidence.entry import Entry
from subnet.game.history import History
from subnet.game.scoring import retain, settle
from subnet.game.step import Draw, Round
from subnet.types import Failure, Label, Modality, Outcome, Prediction, Provenance, Reply, Submission

ROUND, WEIGHTS, DEPARTED = "round", "weights", "departed"


class Written(BaseModel):
    """A part of a journal body: written by one program and read by another, perhaps years later."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Record(Written):
    """A journal body. `state` is the sha256 of the stored state after it; version 0.1.0 wrote none."""

    state: str = ""


class OutcomeRecord(Written):
    """One hotkey in one round. Exactly one of `p_synthetic` and `failure` is set; `score` is the one after it."""

    hotkey: str
    p_synthetic: float | None
    failure: Failure | None
    latency: float  # seconds
    status: int | None
    reason: str
    detector: str | None
    weights_hash: str | None
    query: str  # sha256 of the body that this hotkey was sent
    score: float

    def correct(self, label: Label) -> bool:
        """Whether the answer names the true label; a failure never does."""
        return self.p_synthetic is not None and Prediction(self.p_synthetic).label is label


class RoundRecord(Record):
    """One round: plan, provenance and outcomes. `void` says why it does not count, "" when it does."""

    number: int
    block: int
    modality: Modality
    label: Label
    origin: str
    level: int
    seed: int
    provenance: dict[str, Any] | None
    void: str
    outcomes: tuple[OutcomeRecord, ...]


class WeightsRecord(Record):
    """One attempt to set weights."""

    block: int
    weights: dict[int, float]
    submission: Submission
    code: str | None
    message: str


class DepartedRecord(Record):
    """Hotkeys that left the subnet, whose history ends here."""

    block: int
    hotkeys: tuple[str, ...]


def record(played: Round[Draw]) -> RoundRecord:
    """What is written of a round."""
    plan = played.plan
    return RoundRecord(
        number=plan.number,
        block=played.block,
        modality=plan.modality,
        label=plan.label,
        origin=plan.origin,
        level=plan.level,
        seed=plan.seed,
        provenance=_provenance(played.sample.provenance) if played.sample else None,
        void=played.void,
        outcomes=tuple(
            _outcome(outcome, reply, query, played.history[outcome.hotkey].score)
            for outcome, reply, query in zip(played.outcomes, played.replies, played.queries, strict=True)
        ),
    )


def _provenance(provenance: Provenance) -> dict[str, Any]:
    return {**vars(provenance), "parameters": dict(provenance.parameters)}


def _outcome(outcome: Outcome, reply: Reply, query: str, score: float) -> OutcomeRecord:
    answer = outcome.answer
    return OutcomeRecord(
        hotkey=outcome.hotkey,
        p_synthetic=answer.p_synthetic if isinstance(answer, Prediction) else None,
        failure=answer if isinstance(answer, Failure) else None,
        latency=outcome.latency,
        status=reply.status,
        reason=reply.reason[:200],
        detector=reply.detector,
        weights_hash=reply.weights_hash,
        query=query,
        score=score,
    )


RecordT = TypeVar("RecordT", bound=Record)


def read_record(kind: type[RecordT], entry: Entry) -> RecordT:
    """The body of an entry as a record. Raises JournalBroken where it is none."""
    try:
        return kind.model_validate_json(entry.body)
    except ValueError as error:
        raise JournalBroken(f"entry {entry.seq} is no {kind.__name__}: {error}") from error


def outcomes(played: RoundRecord) -> list[Outcome]:
    """The outcomes of a recorded round, as they were judged."""
    return [
        Outcome(
            row.hotkey,
            str(played.number),
            played.modality,
            played.label,
            row.failure or Prediction(row.p_synthetic if row.p_synthetic is not None else -1),
            row.latency,
            played.block,
        )
        for row in played.outcomes
    ]


@dataclass(frozen=True)
class Replay:
    """What came of computing everything again."""

    rounds: int
    void: int
    weights: int  # attempts to set them
    history: History
    next_round: int = 0  # behind the last one that was played


def replay(entries: Iterable[Entry]) -> Replay:
    """Play recorded rounds through the rules again. Raises JournalBroken where a score differs by a bit."""
    history, rounds, void, weights, next_round = History(), 0, 0, 0, 0
    for entry in entries:
        if entry.kind == DEPARTED:
            departed = read_record(DepartedRecord, entry)
            history = retain(history, frozenset(history.standings) - set(departed.hotkeys))
        elif entry.kind == ROUND:
            played = read_record(RoundRecord, entry)
            rounds, void, next_round = rounds + 1, void + bool(played.void), played.number + 1
            history = settle(history, [] if played.void else _judged(entry, played))
            _compare(entry, played, history)
        weights += entry.kind == WEIGHTS
    return Replay(rounds, void, weights, history, next_round)


def _judged(entry: Entry, played: RoundRecord) -> list[Outcome]:
    try:
        return outcomes(played)
    except ValueError as error:
        raise JournalBroken(f"entry {entry.seq} has an answer that no miner can give: {error}") from error


def _compare(entry: Entry, played: RoundRecord, history: History) -> None:
    for row in played.outcomes:
        computed = history[row.hotkey].score
        if row.score != computed:
            raise JournalBroken(f"entry {entry.seq}: {row.hotkey} has the score {row.score}, the rules give {computed}")
