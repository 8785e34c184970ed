"""Journals for tests: real rounds of the game, written as a validator writes them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from subnet.evidence.journal import Journal
from subnet.evidence.records import ROUND, record
from subnet.evidence.state import State, StateStore
from subnet.game.history import History
from subnet.game.sampling import RoundPlan
from subnet.game.scoring import is_void, settle
from subnet.game.step import Round
from subnet.types import Answer, Label, Media, Modality, Outcome, Prediction, Provenance, Reply, Sample


def played(history: History, number: int, modality: Modality, label: Label, answers: dict[str, Answer]) -> Round[Any]:
    """One round with these answers by hotkey."""
    outcomes = tuple(Outcome(h, "c", modality, label, answer, 0.25, number) for h, answer in answers.items())
    plan = RoundPlan(number, modality, label, "origin", 1, 99, tuple(answers))
    fps = 25.0 if modality is Modality.VIDEO else None
    sample = Sample(Media(np.zeros((1, 16, 16, 3), np.uint8), fps), label, Provenance("s", "i", parameters={"a": [1]}))
    replies = tuple(Reply(answer, 0.25) for answer in answers.values())
    void = "nobody was heard" if is_void(outcomes) else ""
    drawn = SimpleNamespace(sample=sample)
    return Round(plan, number, settle(history, outcomes), drawn, outcomes, replies, ("0" * 64,) * len(outcomes), void)


def play(store: StateStore, rounds: int) -> None:
    """Play that many more rounds of two miners into `store`."""
    for number in range(store.state.next_round, store.state.next_round + rounds):
        answers: dict[str, Answer] = {"alice": Prediction(0.1), "bob": Prediction(0.9 if number % 3 else 0.2)}
        one = played(store.state.history, number, Modality.IMAGE, Label(number % 2), answers)
        assert store.write(ROUND, record(one), State(number + 1, one.history)) is None


def write_journal(path: Path, rounds: int, *, segment_bytes: int = 4 * 2**20) -> History:
    """A stopped journal of so many rounds, its old part in segments; the history it ends with."""
    journal = Journal(path, segment_bytes=segment_bytes)
    store = StateStore(journal)
    play(store, rounds)
    while journal.finish_segment():
        pass
    journal.close()
    return store.state.history
