"""Nothing that a miner can observe before it answers depends on the label: order, level, name, headers, time, bytes.

Bytes of the encoded variants are judged by the leak meter (tests/unit/subnet/media/leak); the wire's headers by what
`Query` has seats for. Here: the plan over thousands of seeds, and one step around it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from subnet.game.history import History
from subnet.game.sampling import RoundPlan, Sampling, plan
from subnet.game.step import step
from subnet.types import (
    Hyperparameters,
    Label,
    Media,
    Modality,
    Neuron,
    Prediction,
    Provenance,
    Query,
    Reply,
    Sample,
    Snapshot,
)

ORIGINS = {(modality, label): {f"{modality}-{label.name}": 1.0} for modality in Modality for label in Label}
NEURONS = tuple(Neuron(uid, f"hotkey-{uid}", "cold", 0.0, False) for uid in range(12))
ROUNDS = 2500
SIGNIFICANT = 0.001  # of each of a handful of fixed seeds: once in 1,000 seeds a fair plan would fail


def label_of(planned: RoundPlan, hotkey: str) -> Label:
    """What this hotkey is asked about."""
    return Label.REAL if hotkey in planned.real else planned.label


@pytest.fixture(scope="module", params=[0.0, 0.5, 1.0], ids=lambda share: f"twins {share}")
def plans(request: pytest.FixtureRequest) -> list[RoundPlan]:
    """One round of thousands of validators, each with a seed of its own."""
    settings = Sampling(origins=ORIGINS, sample_size=8, twin_share=request.param)
    return [plan(seed, seed % 300, settings, NEURONS) for seed in range(ROUNDS)]


OBSERVED = {
    "modality": lambda planned, place: planned.modality.value,
    "level": lambda planned, place: planned.level,
    "place in the order of being asked": lambda planned, place: place,
    "whether among the first four": lambda planned, place: place < 4,
    "parity of the seed": lambda planned, place: planned.seed % 2,
    "number of the round": lambda planned, place: planned.number % 10,
    "name of the miner": lambda planned, place: planned.hotkeys[place],
    "who was asked before": lambda planned, place: planned.hotkeys[place - 1] if place else "",
}


@pytest.mark.parametrize("observed", OBSERVED)
def test_what_a_plan_shows_is_independent_of_the_label(plans: list[RoundPlan], observed: str) -> None:
    """A chi-square test of each observable against the label of what the miner is asked, one place drawn a round."""
    rng = np.random.default_rng(1)
    counts: dict[object, list[int]] = {}
    for planned in plans:
        place = int(rng.integers(len(planned.hotkeys)))
        key = OBSERVED[observed](planned, place)
        counts.setdefault(key, [0, 0])[label_of(planned, planned.hotkeys[place])] += 1
    assert chi2_contingency(np.array(list(counts.values()))).pvalue > SIGNIFICANT


def test_the_last_label_says_nothing_of_the_next(plans: list[RoundPlan]) -> None:
    """Counting labels, as a learner of a validator's habits does, gains nothing: successive rounds are independent."""
    settings = Sampling(origins=ORIGINS, sample_size=4, twin_share=0.5 if any(p.real for p in plans) else 0.0)
    rounds = [plan(99, number, settings, NEURONS[:4]) for number in range(1500)]
    labels = [label_of(planned, "hotkey-0") for planned in rounds]
    pairs = np.zeros((2, 2), int)
    np.add.at(pairs, (labels[:-1], labels[1:]), 1)
    assert chi2_contingency(pairs).pvalue > SIGNIFICANT


def test_a_query_has_no_seat_for_the_truth() -> None:
    """What the transport is handed has four fields: neither label, origin, level nor number of the round."""
    assert {field.name for field in fields(Query)} == {"modality", "body", "content_type", "parameters"}


@dataclass(frozen=True)
class Drawn:
    """A sample and the photograph behind it."""

    sample: Sample
    twin: Sample | None = None


class Batch:
    """A transport that notes how often, with what and when it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, list[tuple[str, str, str, int]]]] = []

    async def ask(self, asks: Sequence[tuple[Neuron, Query]], deadline: float) -> list[Reply]:
        told = [(n.hotkey, q.content_type, str(dict(q.parameters)), len(q.body)) for n, q in asks]
        self.calls.append((time.monotonic(), told))
        return [Reply(Prediction(0.5), 0.0) for _ in asks]


async def test_both_halves_leave_at_once_in_the_plans_order() -> None:
    """All variants are made before anything is sent, and go in one batch in the order of the plan.

    The halves of a twin round differ in nothing but the body: with equal media even these are equal but for the
    hotkey's own variant, whichever half it is in.
    """
    frames = np.random.default_rng(5).integers(0, 256, (1, 64, 64, 3), np.uint8)
    fake, photo = (Sample(Media(frames), label, Provenance("s", "i")) for label in (Label.SYNTHETIC, Label.REAL))
    base = plan(3, 0, Sampling(origins=ORIGINS, video_share=0, twin_share=1.0), NEURONS)
    snapshot = Snapshot(2, 5, NEURONS, Hyperparameters(tempo=360, weights_rate_limit=100))
    batches = []
    with ThreadPoolExecutor(2) as executor:
        for real in (base.real, frozenset(base.hotkeys) - base.real, frozenset[str]()):
            batch = Batch()
            planned = replace(base, real=real)
            await step(planned, snapshot, History(), lambda _: Drawn(fake, photo), batch, 5.0, executor)
            batches.append(batch.calls)
    assert [len(calls) for calls in batches] == [1, 1, 1]
    told = [calls[0][1] for calls in batches]
    assert told[0] == told[1] == told[2]
    assert tuple(hotkey for hotkey, *_ in told[0]) == base.hotkeys
