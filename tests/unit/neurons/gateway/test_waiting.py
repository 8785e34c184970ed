"""Clips that cannot be judged now, or never: they wait, and none of them ends silently."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from neurons.gateway.schemas import JobBody
from neurons.gateway.service import Room
from neurons.gateway.store.database import LEASE_SECONDS
from neurons.gateway.store.jobs import TRIES, WAIT_SECONDS, Job, Jobs, State
from neurons.gateway.store.opening import open_database
from tests.unit.neurons.gateway.rig import Answer, Rig, clip, gateway, picture, until
from tests.unit.neurons.gateway.test_worker import finished, folder_of


def later(rig: Rig, seconds: float) -> None:
    """What the gateway's database takes for the time, from now on."""
    database, shift = rig.api.jobs._database, getattr(rig, "shift", 0.0) + seconds
    rig.shift = shift  # type: ignore[attr-defined]
    database.now = lambda: time.time() + shift


def spent(rig: Rig, name: str) -> int:
    return next(key.spent for key in rig.api.keys.all() if key.name == name)


async def state(rig: Rig, posted: Answer, key: str) -> str:
    return str((await rig.get(posted.headers["location"], key=key)).json["state"])


@asynccontextmanager
async def hooked(rig: Rig) -> AsyncIterator[tuple[str, list[JobBody]]]:
    """A key named `hooked`, and what its webhook was told."""
    got: list[JobBody] = []

    async def take(request: web.Request) -> web.Response:
        got.append(JobBody.model_validate(json.loads(await request.text()), strict=False))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield rig.new_key("hooked", hook=f"http://127.0.0.1:{runner.addresses[0][1]}/hook"), got
    finally:
        await runner.cleanup()


async def test_pictures_do_not_crowd_out_a_clip(tmp_path: Path, journal: Path) -> None:
    """Where there is no room for one picture more, a clip is judged all the same."""
    room = Room(1, 0)
    async with gateway(tmp_path, journal, room=room) as rig, room.turn():
        (await rig.post(picture(True))).problem(503, "busy")
        assert (await finished(rig, await rig.post(clip(True)))).state is State.DONE


@pytest.mark.parametrize("cause", ["miners", "journal"])
async def test_a_clip_waits_for_better_times(rig: Rig, cause: str) -> None:
    """No miner answers, or the journal is damaged: the job is put back, and answered once that has passed; it is told
    of once, and counts once. What does not pass is no reason to wait."""
    whole = rig.journal.read_bytes()

    async def trouble(there: bool) -> None:
        for miner in rig.miners:
            miner.broken = there and cause == "miners"
        rig.journal.write_bytes(whole[: len(whole) // 2] if there and cause == "journal" else whole)
        await rig.api.service.refresh()

    async with hooked(rig) as (key, got):
        await trouble(True)
        posted = await rig.post(clip(True), key=key, Idempotency_Key="a")

        async def put_back() -> bool:
            with rig.api.jobs._database.reading() as db:
                row = db.execute("SELECT state, tries, lease > created FROM jobs").fetchone()
            return bool(tuple(row) == ("queued", 0, 1))

        await until(put_back)
        await trouble(False)
        later(rig, LEASE_SECONDS)
        job = await finished(rig, posted, key)
        assert (job.state, spent(rig, "hooked")) == (State.DONE, 1)
        again = await rig.post(clip(True), key=key, Idempotency_Key="a")
        assert (again.json["id"], again.headers["idempotency-replayed"]) == (job.id, "true")

        async def told() -> bool:
            return got == [job]

        await until(told)


async def test_a_clip_that_waited_in_vain(rig: Rig) -> None:
    """After ten minutes its job fails with the reason; that is told, does not count, and the same request under the
    same Idempotency-Key is a new one. A bad clip is an answer, and counts."""
    async with hooked(rig) as (key, got):
        for miner in rig.miners:
            miner.broken = True
        rig.working.cancel()
        posted = await rig.post(clip(True), key=key, Idempotency_Key="a", X_Request_Id="mine-1")
        assert spent(rig, "hooked") == 1
        later(rig, WAIT_SECONDS + 1)
        rig.work()
        job = await finished(rig, posted, key)
        assert job.problem is not None
        assert (job.problem.status, job.problem.request_id, spent(rig, "hooked")) == (503, "mine-1", 0)

        async def told() -> bool:
            return got == [job]

        await until(told)
        for miner in rig.miners:
            miner.broken = False
        anew = await rig.post(clip(True), key=key, Idempotency_Key="a")
        assert "idempotency-replayed" not in anew.headers
        assert (await finished(rig, anew, key)).state is State.DONE
        bad = await finished(rig, await rig.post(clip(True, frames=4), key=key), key)
        assert bad.problem is not None
        assert (bad.problem.status, spent(rig, "hooked")) == (422, 2)


async def test_a_clip_that_kills(rig: Rig, tmp_path: Path) -> None:
    """Given up after three processes that died: told, not counted, its key free again, and nothing of it is kept."""
    data = clip(True, seed=9)
    async with hooked(rig) as (key, got):
        rig.working.cancel()
        posted = await rig.post(data, key=key, Idempotency_Key="a", X_Request_Id="mine-2")
        for _ in range(TRIES):
            assert rig.api.jobs.take() is not None
            later(rig, LEASE_SECONDS + 1)
        assert any(data[200:260] in path.read_bytes() for path in folder_of(tmp_path))
        rig.work()
        job = await finished(rig, posted, key)
        assert job.problem is not None
        assert (job.problem.status, job.problem.request_id, spent(rig, "hooked")) == (500, "mine-2", 0)
        assert not any(data[200:260] in path.read_bytes() for path in folder_of(tmp_path))

        async def told() -> bool:
            return got == [job]

        await until(told)
        anew = await rig.post(data, key=key, Idempotency_Key="a")
        assert (await finished(rig, anew, key)).state is State.DONE


async def test_a_gateway_that_ends_leaves_its_clip_to_the_next(rig: Rig) -> None:
    """At once, and without a try less."""
    executor, go = rig.api.service._parts.executor, threading.Event()
    for _ in range(2):
        executor.submit(go.wait, 60)  # so that the clip is in work for as long as it takes
    posted = await rig.post(clip(True))

    async def in_work() -> bool:
        return await state(rig, posted, rig.key) == "running"

    try:
        await until(in_work)
        rig.working.cancel()
        await asyncio.gather(rig.working, return_exceptions=True)
        assert await state(rig, posted, rig.key) == "queued"
    finally:
        go.set()
    taken = rig.api.jobs.take()
    assert taken is not None
    assert taken[0].turn == 1


async def test_a_gateway_that_ends_as_it_takes_a_clip_puts_it_back(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the database gave the clip away, and the worker had not heard of it yet."""
    taking, go, take = threading.Event(), threading.Event(), Jobs.take

    def slowly(jobs: Jobs) -> tuple[Job, bytes] | None:
        if (taken := take(jobs)) is not None:
            taking.set()
            assert go.wait(20)
        return taken

    monkeypatch.setattr(Jobs, "take", slowly)
    posted = await rig.post(clip(True))
    assert await asyncio.to_thread(taking.wait, 20)
    rig.working.cancel()
    go.set()
    await asyncio.gather(rig.working, return_exceptions=True)
    assert await state(rig, posted, rig.key) == "queued"
    taken = take(rig.api.jobs)
    assert taken is not None
    assert taken[0].turn == 1


async def test_what_is_too_old_is_gone(rig: Rig, tmp_path: Path) -> None:
    """An answer under an Idempotency-Key, and that to a clip, once they can no longer be fetched, also where nobody
    asks for anything: from the table, and from the log beside the file."""
    still = await rig.post(picture(True), Idempotency_Key="a-token-of-mine")
    job = await finished(rig, await rig.post(clip(True)))
    assert job.detection is not None
    words = [job.detection.id.encode(), str(still.json["id"]).encode(), b"a-token-of-mine"]

    def kept() -> list[bool]:
        data = b"".join(path.read_bytes() for path in folder_of(tmp_path))
        return [word in data for word in words]

    assert all(kept())
    later(rig, 3601)

    async def gone() -> bool:
        return not any(kept())

    await until(gone)


async def test_a_log_that_a_dead_process_left(rig: Rig, tmp_path: Path) -> None:
    """What was deleted, but still stood beside the file when the process died, goes when the next one begins."""
    data = clip(True, seed=11)
    rig.working.cancel()
    posted = await rig.post(data)
    folder = tmp_path / "left"
    folder.mkdir(mode=0o700)
    with rig.api.jobs._database.writing() as db:
        db.execute("DELETE FROM jobs WHERE id = ?", (posted.json["id"],))
    for path in folder_of(tmp_path):
        if path.name.endswith((".db", "-wal")):
            (folder / path.name).write_bytes(path.read_bytes())
    assert any(data[200:260] in path.read_bytes() for path in folder_of(folder))
    opened = open_database(folder)
    left = any(data[200:260] in path.read_bytes() for path in folder_of(folder))
    opened.close()
    assert not left
