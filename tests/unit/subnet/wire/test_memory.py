"""The transport without a network keeps the promises of `subnet.protocols.Transport`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from subnet.types import Answer, Failure, Modality, Neuron, Prediction, Query, Reply
from subnet.wire.memory import MemoryTransport

ANSWERS = st.one_of(st.floats(0, 1).map(Prediction), st.sampled_from(Failure))
QUERY = Query(Modality.IMAGE, b"jpeg", "image/jpeg")


@given(st.lists(ANSWERS, max_size=20))
async def test_one_reply_per_ask_in_order(answers: list[Answer]) -> None:
    """Every ask gets the answer of its own miner; an answer that is not a reply took no time."""
    asks = [(Neuron(uid, f"m{uid}", "c", 0.0, False), QUERY) for uid in range(len(answers))]
    replies = await MemoryTransport(lambda neuron, _: answers[neuron.uid]).ask(asks, 1.0)
    assert replies == [Reply(answer, 0.0) for answer in answers]


@given(st.floats(0, 100), st.floats(0, 100))
async def test_the_deadline_is_kept_without_waiting(latency: float, deadline: float) -> None:
    """A reply that took longer than the deadline is a timeout; one that came just in time counts, unchanged."""
    reply = Reply(Prediction(0.7), latency, "detector", "ab" * 32, 200, "a reason")
    (heard,) = await MemoryTransport(lambda *_: reply).ask([(Neuron(0, "m", "c", 0.0, False), QUERY)], deadline)
    if latency <= deadline:
        assert heard == reply
    else:
        assert (heard.answer, heard.latency, heard.detector) == (Failure.TIMEOUT, deadline, None)


async def test_the_function_gets_what_was_asked() -> None:
    """Neuron and query arrive as they were given."""
    carried: list[tuple[Neuron, Query]] = []

    def answer(neuron: Neuron, query: Query) -> Failure:
        carried.append((neuron, query))
        return Failure.REFUSED

    asks = [(Neuron(uid, f"m{uid}", "c", 0.0, False), Query(Modality.VIDEO, bytes([uid]), "v")) for uid in range(3)]
    await MemoryTransport(answer).ask(asks, 1.0)
    assert carried == asks
