"""Replicas without Ray for tests: real HTTP on loopback, one process, and answers that can be made to fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from detectors.claims.shelf import claims_of
from detectors.loading import open_detector
from neurons.cluster.remote import PREFIX
from neurons.miner.settings import JudgeSettings
from neurons.replicas.replica import Replica
from neurons.verdicts.judging import Opened, explain, explains, judge_by
from subnet.types import Media, Modality
from subnet.wire.http.server import serve

PLAIN = JudgeSettings("npr", "frames", "cpu", "plain")
Answer = Callable[[Request], Awaitable[Response]]


def replicas(wanted: JudgeSettings = PLAIN, count: int = 1) -> dict[Modality, Answer]:
    """One replica of each modality that says there are `count`."""
    return {modality: Replica(wanted, modality, count) for modality in Modality}


def pattern(height: int, width: int, frames: int = 1) -> Media:
    rng, (y, x) = np.random.default_rng(0), np.mgrid[:height, :width]
    frame = (np.stack([x, y, x + y], -1) + rng.integers(0, 40, (height, width, 3))) % 256
    whole = np.stack([np.roll(frame, number, 1) for number in range(frames)]).astype(np.uint8)
    return Media(whole, None if frames == 1 else 8.0)


def report(opened: Opened, media: Media) -> dict[str, Any]:
    judged = judge_by(opened, "file", media)
    return {**judged.found, **(explain(judged).found if explains(judged) else {})}


def here(name: str) -> Opened:
    detector = open_detector(name)
    return lambda modality: (detector, claims_of(name, detector))


def alike(found: Any, wanted: Any) -> bool:
    """Equal but for what sums in batches of other sizes leave in the last digits."""
    if isinstance(wanted, float) and isinstance(found, float):
        return found == pytest.approx(wanted, rel=2e-3, abs=2e-3)
    if isinstance(wanted, dict) and isinstance(found, dict):
        return found.keys() == wanted.keys() and all(alike(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list | tuple) and isinstance(found, list | tuple):
        return len(found) == len(wanted) and all(map(alike, found, wanted))
    return bool(found == wanted)


@asynccontextmanager
async def listening(answers: dict[Modality, Answer], port: int = 0) -> AsyncIterator[int]:
    """Serves what is in `answers` at the moment of a request; gives the port."""

    def route(modality: Modality) -> Route:
        async def endpoint(request: Request) -> Response:
            return await answers[modality](request)

        return Route(f"{PREFIX}/{modality}", endpoint, methods=["POST"])

    server = await serve(Starlette(routes=[route(modality) for modality in Modality]), "127.0.0.1", port)
    try:
        yield server.port
    finally:
        await server.stop()
