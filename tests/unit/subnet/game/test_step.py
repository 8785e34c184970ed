"""One whole round, played in memory: who is asked what, what is written down, and whose fault a silence is."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable, SourceEmpty
from subnet.game.history import History, Standing
from subnet.game.sampling import RoundPlan
from subnet.game.scoring import UNHEARD, settle
from subnet.game.step import Round, step
from subnet.game.variant import variant
from subnet.types import (
    Answer,
    Challenge,
    Failure,
    Hyperparameters,
    Label,
    Media,
    Modality,
    Neuron,
    Outcome,
    Prediction,
    Provenance,
    Query,
    Reply,
    Sample,
    Snapshot,
)
from subnet.wire.memory import MemoryTransport

HOTKEYS = ("delta", "alpha", "charlie", "bravo")
PLAN = RoundPlan(12, Modality.IMAGE, Label.SYNTHETIC, "twins", 1, 0xC0FFEE, HOTKEYS)
FRAMES = np.random.default_rng(5).integers(0, 256, (1, 24, 24, 3), dtype=np.uint8)
SAMPLE = Sample(Media(FRAMES), Label.SYNTHETIC, Provenance("twins", "secret-item", model="secret-model", seed=3))
NEURONS = tuple(Neuron(uid, hotkey, "cold", 0.0, False) for uid, hotkey in enumerate(sorted(HOTKEYS)))
HISTORY = History({"alpha": Standing(score=0.4), "away": Standing(score=0.9)})
ANSWERS = st.one_of(st.floats(0, 1).map(Prediction), st.sampled_from(Failure))
ROUNDS = st.dictionaries(st.sampled_from(HOTKEYS), ANSWERS, min_size=1)

DrawSample = Callable[[RoundPlan], Sample]


@dataclass(frozen=True)
class Drawn:
    """What a source gives: the sample, and in twin rounds what it was made from."""

    sample: Sample
    twin: Sample | None = None


Behaviour = Callable[[Neuron, Query], Reply | Answer]


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(2, thread_name_prefix="challenge") as pool:
        yield pool


def snapshot(*neurons: Neuron) -> Snapshot:
    return Snapshot(2, 345, neurons, Hyperparameters(tempo=360, weights_rate_limit=100))


def right(_neuron: Neuron, _query: Query) -> Answer:
    return Prediction(0.9)


async def play(
    executor: Executor,
    answer: Behaviour = right,
    *,
    plan: RoundPlan = PLAN,
    draw: DrawSample = lambda _: SAMPLE,
    neurons: tuple[Neuron, ...] = NEURONS,
) -> Round[Drawn]:
    def give(what: RoundPlan) -> Drawn:
        return Drawn(draw(what))

    return await step(plan, snapshot(*neurons), HISTORY, give, MemoryTransport(answer), 5.0, executor)


def refuse_to_answer(_neuron: Neuron, _query: Query) -> Answer:
    raise AssertionError("a miner was asked in a round that should have ended before")


@pytest.mark.parametrize("hotkeys", [(), ("left", "long-gone")])
async def test_nobody_to_ask_is_void(executor: Executor, hotkeys: tuple[str, ...]) -> None:
    """A plan of nobody, or of hotkeys that left since, draws nothing, asks nobody and changes nothing."""

    def draw(_plan: RoundPlan) -> Sample:
        raise AssertionError("media was drawn for nobody")

    plan = replace(PLAN, hotkeys=hotkeys)
    played = await play(executor, refuse_to_answer, plan=plan, draw=draw)
    assert played == Round(plan, 345, HISTORY, void="nobody to ask")
    assert played.history is HISTORY


@pytest.mark.parametrize(
    "fault",
    [
        SourceEmpty("no synthetic image"),
        MediaError("broken"),
        MediaUnreadable("not a picture"),
        MediaTooLarge("more than 4096 pixels"),
        OSError(28, "No space left on device"),
        FileNotFoundError(2, "No such file"),
        TimeoutError("the disk hangs"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_fault_of_ours_makes_the_round_void(executor: Executor, fault: Exception) -> None:
    """Whatever goes wrong before anybody is asked is nobody's wrong answer; the reason names the fault."""

    def draw(_plan: RoundPlan) -> Sample:
        raise fault

    played = await play(executor, refuse_to_answer, draw=draw)
    assert played == Round(PLAN, 345, HISTORY, void=f"{type(fault).__name__}: {fault}")
    assert played.history is HISTORY
    assert played.sample is None


async def test_a_mistake_in_the_program_is_not_hidden(executor: Executor) -> None:
    """Only faults of media and disk void a round; anything else is for the loop around it to report."""

    def draw(_plan: RoundPlan) -> Sample:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        await play(executor, refuse_to_answer, draw=draw)


@pytest.mark.parametrize(
    ("shape", "fps", "level"),
    [((1, 1, 70_000, 3), None, 0), ((1, 1, 70_000, 3), None, 2), ((2, 3, 4, 3), 8.0, 0), ((1, 2, 70_000, 3), 8.0, 0)],
    ids=["wide image", "wide image, JPEG inside", "odd video", "wide video"],
)
async def test_media_that_does_not_encode_makes_the_round_void(
    executor: Executor, shape: tuple[int, ...], fps: float | None, level: int
) -> None:
    """A sample that cannot be sent, since its format has no room for its size, is our own fault."""
    sample = Sample(Media(np.zeros(shape, np.uint8), fps), Label.REAL, Provenance("folder", "large"))
    played = await play(executor, refuse_to_answer, plan=replace(PLAN, level=level), draw=lambda _: sample)
    assert played.void.startswith("MediaError: ")
    assert (played.history, played.outcomes, played.sample) == (HISTORY, (), sample)  # for whoever retires it


@given(ROUNDS)
async def test_a_round_that_counts_settles_every_outcome(answers: dict[str, Answer]) -> None:
    """Outcomes stand in the order of the plan's hotkeys, whatever the order of the metagraph, and make the history."""
    order = tuple(hotkey for hotkey in HOTKEYS if hotkey in answers)
    with ThreadPoolExecutor(1) as pool:
        played = await play(pool, lambda n, _: answers[n.hotkey], plan=replace(PLAN, hotkeys=order))
    expected = tuple(
        Outcome(hotkey, "00000012-0000000000c0ffee", Modality.IMAGE, Label.SYNTHETIC, answers[hotkey], 0.0, 345)
        for hotkey in order
    )
    assert played.outcomes == expected
    assert [reply.answer for reply in played.replies] == [answers[hotkey] for hotkey in order]
    assert played.history == settle(HISTORY, expected)
    assert played.history["away"] == HISTORY["away"]
    assert (played.plan.hotkeys, played.block, played.sample) == (order, 345, SAMPLE)


@given(st.lists(st.sampled_from(sorted(UNHEARD)), min_size=2, max_size=4))
async def test_when_nobody_is_heard_the_fault_is_ours(failures: list[Failure]) -> None:
    """Several asked and none heard: the round is written down, does not count, and changes nothing."""
    answers = dict(zip(HOTKEYS, failures, strict=False))
    with ThreadPoolExecutor(1) as pool:
        played = await play(pool, lambda n, _: answers[n.hotkey], plan=replace(PLAN, hotkeys=tuple(answers)))
    assert played.void == "nobody was heard"
    assert played.history is HISTORY
    assert [outcome.answer for outcome in played.outcomes] == failures
    assert len(played.queries) == len(failures)
    assert played.sample is SAMPLE


@given(st.sampled_from(sorted(UNHEARD)))
async def test_one_asked_and_silent_is_not_void(failure: Failure) -> None:
    """With one miner asked, its silence is a wrong answer."""
    with ThreadPoolExecutor(1) as pool:
        played = await play(pool, lambda *_: failure, plan=replace(PLAN, hotkeys=("alpha",)))
    assert played.void == ""
    assert played.history["alpha"].asked == 1
    assert played.history["alpha"].score < HISTORY["alpha"].score
    assert played.history["alpha"].failures == {failure: 1}


@given(st.sampled_from(sorted(set(Failure) - UNHEARD)))
async def test_one_heard_is_enough(heard: Failure) -> None:
    """One miner that was heard, even with nonsense, shows that our network works: the silent ones are wrong."""
    with ThreadPoolExecutor(1) as pool:
        played = await play(pool, lambda n, _: heard if n.hotkey == "bravo" else Failure.TIMEOUT)
    assert played.void == ""
    assert all(played.history[hotkey].asked == 1 for hotkey in HOTKEYS)


async def test_a_reply_beyond_the_deadline_is_a_timeout(executor: Executor) -> None:
    """The deadline of the round reaches the transport: a right answer that is late is no answer."""
    played = await play(executor, lambda n, _: Reply(Prediction(0.9), 5.1 if n.hotkey == "alpha" else 5.0))
    assert {o.hotkey: o.answer for o in played.outcomes}["alpha"] is Failure.TIMEOUT
    assert sum(o.correct for o in played.outcomes) == 3


async def test_latency_and_detector_are_kept(executor: Executor) -> None:
    """What a reply says beside its answer reaches the round as it came."""
    reply = Reply(Prediction(0.2), 0.25, "npr-9", "ab" * 32, 200)
    played = await play(executor, lambda *_: reply)
    assert played.replies == (reply,) * 4
    assert {outcome.latency for outcome in played.outcomes} == {0.25}


async def test_hotkeys_that_left_are_not_asked(executor: Executor) -> None:
    """The metagraph may be newer than the plan: who is gone has no outcome and no query."""
    played = await play(executor, neurons=NEURONS[1:])
    assert [outcome.hotkey for outcome in played.outcomes] == ["delta", "charlie", "bravo"]
    assert len(played.queries) == len(played.replies) == 3
    assert played.history["alpha"] == HISTORY["alpha"]


@pytest.mark.parametrize("level", range(4))
async def test_every_miner_gets_its_own_variant(executor: Executor, level: int) -> None:
    """Bodies differ between hotkeys, follow from (seed, hotkey, level) alone, and their hashes are written down."""
    bodies: dict[str, bytes] = {}

    def answer(neuron: Neuron, query: Query) -> Answer:
        bodies[neuron.hotkey] = query.body
        return Prediction(0.5)

    plan = replace(PLAN, level=level)
    played = await play(executor, answer, plan=plan)
    assert len(set(bodies.values())) == len(HOTKEYS)
    again = {h: variant(Challenge("another name", SAMPLE, plan.seed, level), h).body for h in HOTKEYS}
    assert bodies == again
    assert played.queries == tuple(hashlib.sha256(bodies[hotkey]).hexdigest() for hotkey in HOTKEYS)
    fewer = await play(executor, answer, plan=replace(plan, hotkeys=HOTKEYS[2:], number=99))
    assert fewer.queries == played.queries[2:]
    assert (await play(executor, answer, plan=replace(plan, seed=1))).queries != played.queries


async def test_the_label_never_leaves(executor: Executor) -> None:
    """The same media as real and as synthetic is the same query to the byte: neither label nor origin is in it."""
    queries: dict[Label, list[Query]] = {}
    for label in Label:
        carried = queries.setdefault(label, [])

        def answer(_neuron: Neuron, query: Query, carried: list[Query] = carried) -> Answer:
            carried.append(query)
            return Prediction(0.5)

        sample = replace(SAMPLE, label=label)
        played = await play(executor, answer, plan=replace(PLAN, label=label), draw=lambda _, s=sample: s)  # type: ignore[misc]
        assert {outcome.label for outcome in played.outcomes} == {label}
    assert queries[Label.REAL] == queries[Label.SYNTHETIC]
    assert all(b"secret" not in query.body and not query.parameters for query in queries[Label.REAL])


async def test_outcomes_follow_the_sample_that_was_drawn(executor: Executor) -> None:
    """Where a source had to give another kind than planned, miners are judged by what they were sent."""
    clip = Sample(Media(np.repeat(FRAMES, 4, axis=0), 12.0), Label.REAL, Provenance("folder", "clip"))
    played = await play(executor, lambda *_: Prediction(0.1), draw=lambda _: clip)
    assert {(o.modality, o.label, o.correct) for o in played.outcomes} == {(Modality.VIDEO, Label.REAL, True)}


async def test_drawing_and_encoding_stay_off_the_event_loop(executor: Executor) -> None:
    """Media is drawn in the executor with the plan as it is; miners are asked in the loop's own thread."""
    threads: dict[str, str] = {}

    def draw(plan: RoundPlan) -> Sample:
        assert plan is PLAN
        threads["draw"] = threading.current_thread().name
        return SAMPLE

    def answer(_neuron: Neuron, _query: Query) -> Answer:
        threads["ask"] = threading.current_thread().name
        return Prediction(0.5)

    await play(executor, answer, draw=draw)
    assert threads["draw"].startswith("challenge")
    assert threads["ask"] == threading.current_thread().name


class Watched(Media):
    """Media that notes in whose thread its frames are read."""

    readers: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> object:
        if name == "frames":
            Watched.readers.add(threading.current_thread().name)
        return super().__getattribute__(name)


async def test_variants_are_made_in_the_executor(executor: Executor) -> None:
    """Encoding happens in the threads that were given for it, and in no others."""
    media = Watched(FRAMES)
    Watched.readers.clear()
    await play(executor, draw=lambda _: replace(SAMPLE, media=media))
    assert Watched.readers
    assert all(name.startswith("challenge") for name in Watched.readers)


async def test_a_transport_that_loses_replies_is_a_mistake(executor: Executor) -> None:
    """Fewer replies than asks cannot be told whose they are: an error, never somebody else's answer."""

    class Lossy(MemoryTransport):
        async def ask(self, asks: Sequence[tuple[Neuron, Query]], deadline: float) -> list[Reply]:
            return (await super().ask(asks, deadline))[1:]

    with pytest.raises(ValueError, match="shorter"):
        await step(PLAN, snapshot(*NEURONS), HISTORY, lambda _: Drawn(SAMPLE), Lossy(right), 5.0, executor)
