"""A monitor elsewhere: whatever it does, a round does not wait, and what was lost is counted."""

from __future__ import annotations

import asyncio
import threading
import time

import structlog
from structlog.testing import capture_logs

from neurons.validator.monitors.aside import Aside, Fact
from neurons.validator.telemetry import Telemetry
from subnet.evidence.state import State
from subnet.game.history import History
from subnet.types import Label, Modality, Prediction
from tests.unit.subnet.evidence.journals import played

LOG = structlog.get_logger()
ROUND = played(History(), 0, Modality.IMAGE, Label.REAL, {"alice": Prediction(0.1), "bob": Prediction(0.9)})


class Book:
    """A sink that keeps what it takes; it waits for `gate`, and refuses while `broken`."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.gate, self.broken, self.closed = threading.Event(), False, False
        self.gate.set()

    def send(self, fact: Fact) -> None:
        self.gate.wait(30)
        if self.broken:
            raise OSError("the line is cut")
        self.facts.append(fact)

    def close(self) -> None:
        self.closed = True


def test_facts_arrive_in_order_and_the_sink_is_closed() -> None:
    """All of them, before the program ends."""
    book = Book()
    aside = Aside(lambda: book, LOG)
    for number in range(200):
        aside.put({"round": number})
    aside.close(20)
    assert [fact["round"] for fact in book.facts] == list(range(200))
    assert book.closed
    assert aside.lost == 0


def test_a_sink_that_hangs_costs_facts_and_no_time() -> None:
    """What finds no room is dropped and counted; the program's end waits for as long as it was told."""
    book = Book()
    book.gate.clear()
    aside = Aside(lambda: book, LOG, room=5)
    began = time.perf_counter()
    with capture_logs() as lines:
        for number in range(1000):
            aside.put({"round": number})
    assert aside.lost >= 1000 - 6
    assert [line["event"] for line in lines] == ["monitor"]  # said once, not a thousand times
    aside.close(0.2)
    assert time.perf_counter() - began < 10
    book.gate.set()


def test_a_sink_that_refuses_is_tried_again() -> None:
    """Each refused fact is counted, and what comes later arrives."""
    book = Book()
    book.broken = True
    aside = Aside(lambda: book, LOG)
    for number in range(3):
        aside.put({"round": number})
    for _ in range(2000):
        if aside.lost == 3:
            break
        time.sleep(0.01)
    book.broken = False
    aside.put({"round": 3})
    aside.close(20)
    assert book.facts == [{"round": 3}]
    assert aside.lost == 3


def test_a_sink_that_cannot_be_opened_is_told_once() -> None:
    """Facts after it are counted as lost, and nothing else happens."""

    def nowhere() -> Book:
        raise OSError("no such team")

    with capture_logs() as lines:
        aside = Aside(nowhere, LOG)
        aside._thread.join(20)
        for number in range(50):
            aside.put({"round": number})
        aside.close(0.1)
    assert aside.lost == 51
    assert "no such team" in lines[0]["why"]
    assert len(lines) == 2


async def test_rounds_are_told_as_fast_beside_a_sink_that_hangs() -> None:
    """Telling of a hundred rounds while the sink stands still takes no longer than the sink's turn of nothing."""
    book, telemetry = Book(), Telemetry(False, None, None, LOG)
    book.gate.clear()
    telemetry.tell_aside(lambda: book)
    async with asyncio.timeout(10):
        for number in range(100):
            await telemetry.played(ROUND, number)
        await telemetry.finished(State())
    book.gate.set()


async def test_what_is_told_says_nothing_of_the_challenge() -> None:
    """Numbers alone: no label, no origin, no seed, no hotkey and no score of one."""
    book, telemetry = Book(), Telemetry(False, None, None, LOG)
    telemetry.tell_aside(lambda: book)
    await telemetry.played(ROUND, 9)
    await telemetry.finished(State())
    (fact,) = book.facts
    assert set(fact) == {"round", "block", "void", "asked", "answers", "latency_median", "latency_max"}
    assert all(isinstance(value, int | float) for value in fact.values())
    assert (fact["asked"], fact["answers"], fact["block"]) == (2, 2, 9)
    assert book.closed
