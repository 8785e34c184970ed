"""Verdicts by replicas: the report of the detector itself, or no answer; never another report."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from detectors.calibration import Calibration
from detectors.claims.card import Card, Reach
from neurons.cluster import judge, remote
from neurons.cluster.batch_format import About, to_reply, unpack
from neurons.cluster.judge import PASS, RemoteJudge, open_there, split
from neurons.cluster.remote import Replicas
from neurons.miner.settings import JudgeSettings
from neurons.verdicts.judging import explain, explains, judge_by
from subnet.errors import MediaUnreadable, Overloaded, SettingsError
from subnet.types import Media, Modality
from tests.unit.neurons.replicas.hosts import Answer, alike, here, listening, pattern, replicas, report

LOG = structlog.get_logger()
WEIGHTS = "ab" * 32
ABOUT = About("npr", WEIGHTS, 3, 0.001)
CARD = Card("npr", WEIGHTS)
REACH = Reach("everyday", 10, 5, 0.9, 0.01, 0.02, 3.0, "cd" * 32)
PICTURES = [Media(np.full((1, 2, 2, 3), n, np.uint8)) for n in range(20)]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little patience with what cannot come; enough for what has work to do."""
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    monkeypatch.setattr(remote, "PATIENCE", 0.5)
    monkeypatch.setattr(judge, "FILE_SECONDS", 2.0)
    monkeypatch.setattr(judge, "EACH_SECONDS", 0.5)


def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FILE_SECONDS", "EACH_SECONDS"):
        monkeypatch.setattr(judge, name, 300.0)


class Stub:
    """A replica that says what it is told to: `told` by question, a reply or a function of the batch."""

    def __init__(self, card: Card = CARD, about: About = ABOUT, **told: Any) -> None:
        self.about, self.sizes = about, list[int]()
        nature = {
            "modality": "image",
            "calibration": Calibration().to_json(),
            "card": as_json(card),
            "way": "occlusion",
        }
        self.told: dict[str, Any] = {"nature": nature, "parts": parts, **told}

    async def __call__(self, request: Request) -> Response:
        batch, question = unpack(await request.body()), request.query_params.get("question", "")
        told = self.told.get(question)
        if question == "parts":
            self.sizes.append(len(batch))
        told = told(batch) if callable(told) else told
        return told if isinstance(told, Response) else Response(to_reply(self.about, told=told))


def as_json(card: Card) -> dict[str, Any]:
    from detectors.claims.card import to_json

    found: dict[str, Any] = json.loads(to_json(card))
    return found


def parts(batch: list[Media]) -> dict[str, Any]:
    return {"p_synthetic": [float(media.frames[0, 0, 0, 0]) / 255 for media in batch], "distances": None}


@asynccontextmanager
async def asked(answer: Answer) -> AsyncIterator[Replicas]:
    """Replicas of images that answer so, and of videos that are none."""

    async def nobody(request: Request) -> Response:
        return Response("no such application", 404)

    async with listening({Modality.IMAGE: answer, Modality.VIDEO: nobody}) as port:
        with Replicas(f"http://127.0.0.1:{port}", LOG) as there:
            yield there


@pytest.mark.parametrize("serving", ["plain", "fast"])
async def test_the_report_is_that_of_the_detector_itself(monkeypatch: pytest.MonkeyPatch, serving: str) -> None:
    """A picture with squares, tiles and a map by occlusion: every number is that of this machine, the distance from what
    the card was measured on too, and also where the replica answers miners by an export."""
    _patient(monkeypatch)
    wanted = JudgeSettings("spectral", "constant-video", "cpu", serving)  # type: ignore[arg-type]
    media = pattern(300, 400)
    async with listening(replicas(wanted, count=2)) as port:
        with Replicas(f"http://127.0.0.1:{port}", LOG) as there:
            found = await asyncio.to_thread(report, partial(open_there, there), media)
    assert alike(found, report(here("spectral"), media))
    assert found["distance"] is not None
    assert len(found["views"]) > 2
    assert len(found["cells"]) == 16


async def test_clips_have_their_timeline_and_no_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over time as on this machine; a map by a layer needs the network, which the report says, and `explain` too."""
    _patient(monkeypatch)
    media = pattern(96, 128, 12)
    async with listening(replicas(JudgeSettings("constant", "tall", "cpu", "plain"))) as port:
        with Replicas(f"http://127.0.0.1:{port}", LOG) as there:
            judged = await asyncio.to_thread(judge_by, partial(open_there, there), "file", media)
            assert not explains(judged)
            with pytest.raises(SettingsError, match="needs that on this machine; leave out --detector.address"):
                explain(judged)
            nothing = await asyncio.to_thread(report, partial(open_there, there), pattern(96, 128))
    found = dict(judged.found)
    assert "needs that on this machine" in found.pop("unexplained")
    assert alike(found, judge_by(here("tall"), "file", media).found)
    assert len(found["timeline"]) > 2
    assert alike(nothing, report(here("constant"), pattern(96, 128)))


async def test_parts_are_asked_in_batches_of_several_replicas() -> None:
    """In order; whole passes of a network, as many requests as there are replicas, or as their time allows."""
    for seconds, sizes in ((0.001, [4, 8, 8]), (0.5, [4, 4, 4, 4, 4])):
        stub = Stub(about=About("npr", WEIGHTS, 2, seconds))
        async with asked(stub) as there:
            found = await asyncio.to_thread(lambda: open_there(there, Modality.IMAGE)[0].parts(PICTURES))
        assert [answer.p_synthetic * 255 for answer in found[0]] == pytest.approx(range(20))
        assert (sorted(stub.sizes), found[1]) == (sizes, None)


@given(st.lists(st.integers(1, 40), max_size=50), st.integers(-1, 60))
def test_a_batch_is_split_and_nothing_lost(sides: list[int], most: int) -> None:
    """In order, no part empty or larger than it may be, and whole passes but for the last."""
    batch = [Media(np.zeros((1, side, side, 3), np.uint8)) for side in sides]
    found = split(batch, most)
    assert [media for part in found for media in part] == batch
    assert all(0 < len(part) <= max(1, most) for part in found)
    if most > PASS:
        assert all(len(part) % PASS == 0 for part in found[:-1])


async def test_a_batch_that_finds_no_memory_is_halved() -> None:
    """507 for more than five items; for a single one it is no answer."""

    def narrow(batch: list[Media]) -> Any:
        return Response("CUDA out of memory", 507) if len(batch) > 5 else parts(batch)

    async with asked(Stub(parts=narrow)) as there:
        found, _ = await asyncio.to_thread(lambda: open_there(there, Modality.IMAGE)[0].parts(PICTURES))
        assert [answer.p_synthetic * 255 for answer in found] == pytest.approx(range(20))
    async with asked(Stub(parts=lambda batch: Response("full", 507))) as there:
        with pytest.raises(Overloaded, match="no memory for a single item"):
            await asyncio.to_thread(lambda: open_there(there, Modality.IMAGE)[0].parts(PICTURES))


def nature(**changes: Any) -> dict[str, Any]:
    return {**Stub().told["nature"], **changes}


WRONG_NATURES: dict[str, Any] = {
    "an older version": None,
    "a page": lambda batch: Response("<html>welcome</html>"),
    "no page": lambda batch: Response("gone", 302, headers={"location": "http://127.0.0.1:9/"}),
    "nesting": lambda batch: Response("[" * 10**5),
    "numbers without end": lambda batch: Response('{"name": "npr", "weights_hash": "", "replicas": 1e999, "seconds": 1}'),
    "too much": lambda batch: Response(b" " * (remote.MOST + 1)),
    "what is said of files": lambda batch: Response("cannot be read", 422),
    "no memory": lambda batch: Response("full", 507),
    "the other modality": nature(modality="video"),
    "a card of other weights": nature(card=as_json(Card("npr", "cd" * 32))),
    "no card": nature(card={}),
    "a reach of words": nature(card={**as_json(CARD), "reach": {**as_json(Card("npr", WEIGHTS, (), REACH))["reach"], "farthest": "far"}}),
    "a calibration that is none": nature(calibration={"temperature": -1}),
    "another way": nature(way="guess"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG_NATURES)
async def test_who_does_not_answer_as_replicas_do_is_not_asked(kind: str) -> None:
    """Before the first question about a file: an answer that is none is Overloaded, whatever it is."""
    async with asked(Stub(nature=WRONG_NATURES[kind])) as there:
        with pytest.raises(Overloaded, match="images: "):
            await asyncio.to_thread(RemoteJudge, there, Modality.IMAGE)
        with pytest.raises(Overloaded, match="videos: "):
            await asyncio.to_thread(RemoteJudge, there, Modality.VIDEO)


WRONG_PARTS: dict[str, Any] = {
    "too few": {"p_synthetic": [0.5], "distances": None},
    "no probability": lambda batch: {"p_synthetic": [1.5] * len(batch), "distances": [1.0] * len(batch)},
    "no number": lambda batch: Response(to_reply(ABOUT, told={"p_synthetic": [float("nan")] * len(batch), "distances": None})),
    "too few distances": lambda batch: {"p_synthetic": [0.5] * len(batch), "distances": [1.0]},
    "no distance": lambda batch: {"p_synthetic": [0.5] * len(batch), "distances": None},
    "infinitely far": lambda batch: {"p_synthetic": [0.5] * len(batch), "distances": [float("inf")] * len(batch)},
    "other weights": lambda batch: Response(
        to_reply(About("npr", "cd" * 32, 3, 0.001), told={"p_synthetic": [0.5] * len(batch), "distances": [1.0] * len(batch)})
    ),
    "a fault": lambda batch: Response("RuntimeError: device lost", 500),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG_PARTS)
async def test_an_answer_that_may_be_wrong_is_none(kind: str) -> None:
    """Without a distance a card with a reach says nothing: an item beyond it would be judged."""
    stub = Stub(Card("npr", WEIGHTS, (), REACH), parts=WRONG_PARTS[kind])
    async with asked(stub) as there:
        with pytest.raises(Overloaded, match="images: "):
            await asyncio.to_thread(lambda: open_there(there, Modality.IMAGE)[0].parts(PICTURES[:4]))


@pytest.mark.parametrize(
    ("question", "told", "ask"),
    [
        ("log-odds", {"values": [1.0, 2.0]}, lambda judge: judge.log_odds(PICTURES[:2])),
        ("log-odds", {"values": [None, 1.0]}, lambda judge: judge.log_odds(PICTURES[:2])),
        ("moments", {"values": [[7, 0.5]]}, lambda judge: judge.moments(PICTURES[0])),
        ("moments", {"values": [[-1, 0.5]]}, lambda judge: judge.moments(PICTURES[0])),
        ("moments", {"values": [[0, 2]]}, lambda judge: judge.moments(PICTURES[0])),
        ("account", {"shares": None}, lambda judge: judge.account(PICTURES[0])),
        ("account", {"shares": [{"member": "x"}]}, lambda judge: judge.account(PICTURES[0])),
        ("account", {"known": {"name": "x", "label": "<b>"}}, lambda judge: judge.account(PICTURES[0])),
        ("account", {"html": "<b>"}, lambda judge: judge.account(PICTURES[0])),
    ],
)
async def test_the_other_answers_are_looked_at_too(question: str, told: Any, ask: Callable[[RemoteJudge], Any]) -> None:
    """Counts, finite numbers, frames that are there, and members that a report knows."""
    async with asked(Stub(**{question: told})) as there:
        with pytest.raises(Overloaded, match="does not answer as replicas"):
            await asyncio.to_thread(lambda: ask(open_there(there, Modality.IMAGE)[0]))


async def test_one_replica_that_fails_costs_no_answer() -> None:
    """It is asked again of another: lost, out of room, other weights, rubbish."""
    odd = [500, 503, Response("<html>"), to_reply(About("npr", "cd" * 32, 3, 0.001), told=parts(PICTURES[:4]))]
    for wrong in odd:
        left = [wrong]

        def once(batch: list[Media], left: list[Any] = left) -> Any:
            if not left:
                return parts(batch)
            first = left.pop()
            return (
                first
                if isinstance(first, Response)
                else Response("", first)
                if isinstance(first, int)
                else Response(first)
            )

        async with asked(Stub(parts=once)) as there:
            found, _ = await asyncio.to_thread(lambda: open_there(there, Modality.IMAGE)[0].parts(PICTURES[:4]))
            assert [answer.p_synthetic * 255 for answer in found] == pytest.approx(range(4))


async def test_a_reply_that_drips_ends_in_time() -> None:
    """Each byte comes soon enough, and the whole does not."""

    def dripping(batch: list[Media]) -> Response:
        async def drops() -> AsyncIterator[bytes]:
            while True:
                yield b" "
                await asyncio.sleep(0.05)

        return StreamingResponse(drops())

    async with asked(Stub(parts=dripping)) as there:
        began = time.monotonic()
        with pytest.raises(Overloaded, match="half a reply"):
            await asyncio.to_thread(lambda: open_there(there, Modality.IMAGE)[0].parts(PICTURES[:4]))
        assert time.monotonic() - began < 30  # it would never end


async def test_other_weights_count_from_the_next_file_on() -> None:
    """Within a file they are no answer; a new file is judged by them, without a restart."""
    stub = Stub()
    async with asked(stub) as there:
        first, _ = await asyncio.to_thread(open_there, there, Modality.IMAGE)
        other = Stub(Card("npr", "cd" * 32), About("npr", "cd" * 32, 3, 0.001))
        stub.about, stub.told = other.about, other.told
        with pytest.raises(Overloaded, match="the first one did"):
            await asyncio.to_thread(first.parts, PICTURES[:4])
        second, claims = await asyncio.to_thread(open_there, there, Modality.IMAGE)
        assert (second.weights_hash, claims.card.weights) == ("cd" * 32, "cd" * 32)
        assert len((await asyncio.to_thread(second.parts, PICTURES[:4]))[0]) == 4


async def test_what_is_wrong_with_media_is_said_of_them() -> None:
    """A replica's 422 to a question about media is a MediaUnreadable, as it is here."""
    async with asked(Stub(parts=lambda batch: Response("too short a clip", 422))) as there:
        with pytest.raises(MediaUnreadable, match="too short a clip"):
            await asyncio.to_thread(lambda: open_there(there, Modality.IMAGE)[0].parts(PICTURES[:4]))


async def test_while_nothing_answers_nobody_waits() -> None:
    """By the last look that the watching took; and what answers then is asked again."""
    async with asked(Stub()) as there:
        there.why[Modality.IMAGE] = "images: nothing listens"
        with pytest.raises(Overloaded, match="nothing listens"):
            await asyncio.to_thread(RemoteJudge, there, Modality.IMAGE)
        there.why[Modality.IMAGE] = ""
        assert (await asyncio.to_thread(RemoteJudge, there, Modality.IMAGE)).name == "npr"
