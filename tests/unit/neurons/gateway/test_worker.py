"""Clips: queued, judged, fetched, told of by signed webhooks."""

from __future__ import annotations

import json
import time
from pathlib import Path

from aiohttp import web

from neurons.gateway.schemas import JobBody
from neurons.gateway.store.jobs import State
from neurons.gateway.webhooks import secret_of, told_secret, verify
from tests.unit.neurons.gateway.rig import Answer, Rig, clip, picture, until
from tests.unit.subnet.codec.test_sandbox import HOSTILE


def folder_of(path: Path) -> list[Path]:
    """The gateway's file, and what SQLite has beside it."""
    return list(path.rglob("gateway.db*"))


async def finished(rig: Rig, posted: Answer, key: str | None = None) -> JobBody:
    """The job that an answer names, once it is over."""
    assert posted.status == 202, posted.json
    assert posted.headers["location"] == f"/v1/jobs/{posted.json['id']}"
    found: list[JobBody] = []

    async def over() -> bool:
        answer = await rig.get(posted.headers["location"], key=key)
        assert answer.status == 200
        found[:] = [JobBody.model_validate(answer.json, strict=False)]
        return found[0].state not in (State.QUEUED, State.RUNNING)

    await until(over)
    return found[0]


async def test_clips_are_judged_as_jobs(rig: Rig) -> None:
    """202 with an address, and the answer there; the same request gives the same job; a bad clip is a failed one."""
    bad = await finished(rig, await rig.post(b"\0\0\0\x18ftypisom" + bytes(500), X_Request_Id="mine-1"))
    assert bad.problem is not None
    assert (bad.state, bad.problem.status, bad.problem.request_id) == (State.FAILED, 422, "mine-1")
    posted = await rig.post(clip(True), Idempotency_Key="clip")
    again = await rig.post(clip(True), Idempotency_Key="clip")
    assert (again.status, again.json["id"]) == (202, posted.json["id"])
    assert [answer.json.get("expires") for answer in (posted, again)] == [None, None]  # nobody knows yet
    job = await finished(rig, posted)
    assert job.expires is not None
    assert job.detection is not None
    assert (job.detection.modality, job.detection.p_synthetic > 0.5) == ("video", True)
    assert job.detection.miners
    assert sum(len(miner.asked) for miner in rig.miners) == 3


async def test_the_worst_clips(rig: Rig) -> None:
    """What is no clip is refused at once, what only looks like one is a job that fails with the reason, each in seconds
    and by a type of its own; the next good one is judged."""
    for name, make in HOSTILE.items():
        start = time.perf_counter()
        answer = await rig.post(make())
        if answer.status != 202:
            assert answer.problem(answer.status, "too-large" if answer.status == 413 else "unreadable"), name
        else:
            job = await finished(rig, answer)
            assert job.problem is None or job.problem.status in (413, 422), (name, job)
        assert time.perf_counter() - start < 20, name
    assert (await finished(rig, await rig.post(clip(True)))).state is State.DONE


async def test_a_job_is_its_own_keys_alone(rig: Rig) -> None:
    """Another key cannot tell it from one that does not exist."""
    posted = await rig.post(clip(True))
    other = rig.new_key("other")
    theirs = (await rig.get(posted.headers["location"], key=other)).problem(404, "not-found")
    nobody = (await rig.get("/v1/jobs/nothing", key=other)).problem(404, "not-found")
    assert theirs == nobody
    (await rig.get(posted.headers["location"], key="")).problem(401, "unauthorized")
    await finished(rig, posted)


async def test_too_many_clips(rig: Rig) -> None:
    """Two of a key and three in all may wait here; a key that was revoked meanwhile gets no answer."""
    rig.working.cancel()
    assert [(await rig.post(clip(True))).status for _ in range(2)] == [202, 202]
    assert "send this one again later" in (await rig.post(clip(True))).problem(429, "too-many-requests")
    gone = rig.new_key("gone")
    posted = await rig.post(clip(True), key=gone)
    (await rig.post(clip(True), key=gone)).problem(503, "busy")
    assert (await rig.post(picture(True))).status == 200
    rig.api.keys.revoke("gone")
    rig.work()

    async def over() -> bool:
        return rig.api.jobs.waiting() == 0

    await until(over)
    asked = sum(len(miner.asked) for miner in rig.miners)
    assert (posted.status, asked) == (202, 3 * 3)  # a picture and two clips


async def test_webhooks_are_signed_and_follow_nobody(rig: Rig) -> None:
    """Once, with the answer; one that is not taken, or sent elsewhere, comes again; only the key's own secret proves it."""
    got: list[tuple[dict[str, str], str]] = []

    async def take(request: web.Request) -> web.Response:
        assert request.path == "/hook", "a redirect was followed"
        got.append((dict(request.headers), await request.text()))
        if len(got) == 1:
            raise web.HTTPTemporaryRedirect("/elsewhere")
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/{any}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    key, text = rig.api.keys.add("hooked", frozenset(("video",)), 600, 100, f"http://127.0.0.1:{port}/hook")  # type: ignore[arg-type]
    job = await finished(rig, await rig.post(clip(True), key=text), text)

    async def twice() -> bool:
        return len(got) == 2

    await until(twice)
    headers, body = got[1]
    secret = told_secret(secret_of(7, key.id))
    assert json.loads(body)["detection"]["id"] == (job.detection.id if job.detection else "")
    assert verify(secret, headers, body, time.time())
    assert not verify(secret, headers, body + " ", time.time())
    assert not verify(secret, headers, body, time.time() + 1000)
    assert not verify(told_secret(secret_of(7, "other")), headers, body, time.time())
    assert not verify(secret, {}, body, time.time())
    await runner.cleanup()


async def test_nothing_of_a_file_stays(rig: Rig, tmp_path: Path) -> None:
    """Neither picture nor clip lies in the gateway's folder once it is answered."""
    data, still = clip(True, seed=5), picture(True, seed=5)
    await finished(rig, await rig.post(data))
    assert (await rig.post(still, Idempotency_Key="x")).status == 200
    for kept in [path.read_bytes() for path in folder_of(tmp_path)]:
        assert data[200:260] not in kept
        assert still[200:260] not in kept
