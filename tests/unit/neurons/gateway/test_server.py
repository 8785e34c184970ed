"""The API by a real server, real axons and a validator's journal, all on the loopback."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest
import structlog

from neurons.gateway.requests import uploads
from neurons.gateway.schemas import Detection
from neurons.gateway.service import Room
from neurons.gateway.store import holding, repeats
from subnet.errors import StateError
from tests.unit.neurons.gateway.rig import MINERS, Rig, clip, gateway, picture, until


async def test_pictures_are_judged_by_miners(rig: Rig) -> None:
    """Both kinds get their verdict, from three miners that were drawn, with a say by skill."""
    for synthetic, verdict in ((True, "synthetic"), (False, "no trace found")):
        answer = await rig.post(picture(synthetic))
        assert answer.status == 200, answer.json
        told = Detection.model_validate(answer.json, strict=False)
        assert told.verdict == verdict or told.agreement < 1
        assert (told.p_synthetic > 0.5) is synthetic
        assert told.interval[0] <= told.p_synthetic <= told.interval[1]
        assert (told.asked, told.answered) == (3, 3)
        assert told.miners is not None
        weights = {each.hotkey: each.weight for each in told.miners}
        assert weights.get(MINERS[4].ss58_address, 0.0) == 0.0


async def test_only_keys_that_may_see_what_each_miner_said(rig: Rig) -> None:
    """Without the scope `answers` nobody's own words are told."""
    answer = await rig.post(picture(True), key=rig.new_key("plain"))
    assert answer.status == 200
    assert "miners" not in answer.json


async def test_without_a_key(rig: Rig) -> None:
    """No key, one of another form, one that does not exist: all the same, and no miner hears of it."""
    for key in ("", "nonsense", "assay_000000000000_" + "A" * 43):
        answer = await rig.post(picture(True), key=key)
        answer.problem(401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert not any(miner.asked for miner in rig.miners)


async def test_a_revoked_key(rig: Rig) -> None:
    """From the next request on."""
    key = rig.new_key("shop")
    assert (await rig.post(picture(True), key=key)).status == 200
    rig.api.keys.revoke("shop")
    (await rig.post(picture(True), key=key)).problem(401, "unauthorized")


WHERE = (
    "/v1/detections?key={}", "/v1/detections?x={}", "/v1/jobs/{}", "/v1/detections?API_KEY=1",
    "/%61ssay_" + "0" * 12 + "_x",
)  # fmt: skip


async def test_a_key_in_an_address(rig: Rig) -> None:
    """Refused and said so, whatever the path: it may stand in logs by now. It is not told again in the answer."""
    for where in WHERE:
        answer = await rig.post(picture(True), path=where.format(rig.key))
        assert "Authorization" in answer.problem(400, "key-in-address")
        assert rig.key.split("_", 2)[2] not in str(answer.json)


async def test_scopes(rig: Rig) -> None:
    """A key for clips judges no pictures; what it sent is told only once it is known what it is."""
    answer = await rig.post(picture(True), key=rig.new_key("clips", scopes="video"))
    assert answer.problem(403, "forbidden") == "this key has no scope 'image'"


async def test_rates_and_quotas(rig: Rig) -> None:
    """Beyond them 429 with the time; what fails by our fault takes nothing from a quota."""
    slow = rig.new_key("slow", rate=1)
    assert (await rig.post(picture(True), key=slow)).status == 200
    (await rig.post(picture(True), key=slow)).problem(429, "too-many-requests")
    few = rig.new_key("few", quota=1)
    for miner in rig.miners:
        miner.broken = True
    (await rig.post(picture(True), key=few)).problem(503, "no-answer")
    for miner in rig.miners:
        miner.broken = False
    assert (await rig.post(picture(True), key=few)).status == 200
    answer = await rig.post(picture(True), key=few)
    assert "today" in answer.problem(429, "too-many-requests")


async def test_what_is_not_taken_is_not_counted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload that was too slow, or one too many, a mistake of ours, and a database that is away leave a quota as it
    was; a bad file is judged, and counts."""
    key = rig.new_key("counted")

    def spent() -> int:
        return next(each.spent for each in rig.api.keys.all() if each.name == "counted")

    async def slowly() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0.5)

    for error, status, kind in ((RuntimeError("a mistake"), 500, "fault"), (StateError("away"), 503, "not-ready")):

        def fails(*_: object, error: Exception = error) -> object:
            raise error

        monkeypatch.setattr(rig.api.jobs, "put", fails)
        (await rig.post(clip(True), key=key)).problem(status, kind)
        monkeypatch.undo()
    rig.working.cancel()
    assert [(await rig.post(clip(True), key=key)).status for _ in range(2)] == [202, 202]
    (await rig.post(clip(True), key=key)).problem(429, "too-many-requests")
    identity = next(each.id for each in rig.api.keys.all() if each.name == "counted")
    with ExitStack() as full:
        for _ in range(4):
            full.enter_context(rig.api.bodies.room(identity, 2**24))
        assert "uploads" in (await rig.post(picture(True), key=key)).problem(429, "too-many-requests")
    assert spent() == 2
    (await rig.post(b"nothing of ours", key=key)).problem(422, "unreadable")
    assert spent() == 3
    monkeypatch.setattr(uploads, "BODY_SECONDS", 0.05)
    (await rig.send("POST", "/v1/detections", key, data=slowly())).problem(408, "too-slow")
    assert spent() == 3


async def test_a_repeated_request_gets_the_first_answer(rig: Rig) -> None:
    """Under one Idempotency-Key a file is judged once, also when both come at once; another file is refused."""
    first = await rig.post(picture(True), Idempotency_Key="a")
    again = await rig.post(picture(True), Idempotency_Key="a")
    assert again.json == first.json
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    (await rig.post(picture(False), Idempotency_Key="a")).problem(422, "different-file")
    (await rig.post(picture(False), Idempotency_Key="ä")).problem(400, "bad-request")
    (await rig.post(picture(False), Idempotency_Key="a" * 256)).problem(400, "bad-request")
    both = await asyncio.gather(*(rig.post(picture(True), Idempotency_Key="b") for _ in range(2)))
    statuses = sorted(each.status for each in both)
    assert statuses in ([200, 409], [200, 200])
    assert statuses == [200, 409] or both[0].json == both[1].json


async def test_a_refused_file_is_refused_again(rig: Rig) -> None:
    """The answer to a bad file is an answer, too, also to one whose first bytes tell; a scope that is missing is none."""
    for token, file, status in (("half", picture(True)[:5000], 422), ("none", b"nothing of ours", 422)):
        first = await rig.post(file, Idempotency_Key=token)
        again = await rig.post(file, Idempotency_Key=token)
        assert (first.status, again.status) == (status, status)
        assert again.json == first.json
        (await rig.post(picture(True), Idempotency_Key=token)).problem(422, "different-file")
    key = rig.new_key("clips", scopes="video")
    for file in (picture(True), picture(False)):
        (await rig.post(file, key=key, Idempotency_Key="a")).problem(403, "forbidden")


async def test_a_quota_counts_files_that_are_judged(rig: Rig) -> None:
    """Neither an answer that is told again, nor what is no file, nor one that is not taken; and an answer is told again
    also when nothing is left of the quota. Another file is not judged then, under whatever Idempotency-Key."""
    key = rig.new_key("one", quota=1)
    (await rig.post(picture(True), key=key, Idempotency_Key="ä")).problem(400, "bad-request")
    for kind, status, problem in (
        ("image/jpeg", 415, "not-multipart"),
        ("multipart/form-data; boundary=x", 413, "too-large"),
        ("multipart/form-data; boundary=x", 400, "bad-request"),
    ):
        data = io.BytesIO(bytes(2**21 if status == 413 else 100))
        answer = await rig.send("POST", "/v1/detections", key, data=data, headers={"Content-Type": kind})
        answer.problem(status, problem)
    first = await rig.post(picture(True), key=key, Idempotency_Key="a")
    assert first.status == 200
    for _ in range(3):
        again = await rig.post(picture(True), key=key, Idempotency_Key="a")
        assert (again.json, again.headers["idempotency-replayed"]) == (first.json, "true")
    for token in ({}, {"Idempotency_Key": "b"}):
        assert "today" in (await rig.post(picture(True), key=key, **token)).problem(429, "too-many-requests")
    assert sum(len(miner.asked) for miner in rig.miners) == 3


async def test_a_request_that_takes_long_keeps_its_key(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long its file waits to be judged, nobody else's answer comes under its Idempotency-Key."""
    for module in (holding, repeats):
        monkeypatch.setattr(module, "LEASE_SECONDS", 0.4)
    executor, go = rig.api.service._parts.executor, threading.Event()
    for _ in range(2):
        executor.submit(go.wait, 60)
    try:
        first = asyncio.create_task(rig.post(picture(True), Idempotency_Key="a"))
        for _ in range(10):
            await asyncio.sleep(0.1)
            (await rig.post(picture(False), Idempotency_Key="a")).problem(422, "different-file")
    finally:
        go.set()
    assert (await first).status == 200
    assert (await rig.post(picture(True), Idempotency_Key="a")).headers["idempotency-replayed"] == "true"


async def test_miners_that_fail_are_replaced(rig: Rig) -> None:
    """Two of five down: still three answers. Four down: one, without a verdict. All down: 503, and said so."""
    for miner in rig.miners[3:]:
        miner.broken = True
    assert (await rig.post(picture(True))).json["answered"] == 3
    for miner in rig.miners[1:]:
        miner.broken = True
    answer = await rig.post(picture(True))
    assert (answer.json["answered"], answer.json["verdict"]) == (1, "uncertain")
    rig.miners[0].broken = True
    assert "none of the 5 miners" in (await rig.post(picture(True))).problem(503, "no-answer")


async def test_miners_die_while_clients_ask(rig: Rig) -> None:
    """One after another their servers end: answers keep coming, of those that are left, with an interval that is the
    wider and no verdict of one alone; 503 once there is nobody."""
    answers = []
    for miner in reversed(rig.miners[1:]):
        asking = [asyncio.create_task(rig.post(picture(bool(n % 2), seed=n))) for n in range(6)]
        await miner.server.stop()
        answers += await asyncio.gather(*asking)
        answers += [await rig.post(picture(bool(n % 2), seed=n)) for n in range(4)]
    await rig.miners[0].server.stop()
    (await rig.post(picture(True))).problem(503, "no-answer")
    told = [Detection.model_validate(answer.json, strict=False) for answer in answers]
    widths = {count: [e.interval[1] - e.interval[0] for e in told if e.answered == count] for count in (1, 2, 3)}
    assert all(widths.values())
    assert sum(map(len, widths.values())) == len(answers) == 40
    assert min(widths[1]) > min(widths[3])
    assert {each.verdict for each in told if each.answered == 1} == {"uncertain"}


async def test_a_damaged_journal(rig: Rig) -> None:
    """503 with the time to come again, nothing of this machine's paths; it mends by itself."""
    whole = rig.journal.read_bytes()
    rig.journal.write_bytes(whole[: len(whole) // 2])
    await rig.api.service.refresh()
    detail = (await rig.post(picture(True))).problem(503, "not-ready")
    assert "journal" in detail
    assert str(rig.folder) not in detail
    health = await rig.get("/health", key="")
    assert (health.status, health.json["ok"]) == (503, False)
    rig.journal.write_bytes(whole)
    await rig.api.service.refresh()
    assert (await rig.post(picture(True))).status == 200
    assert (await rig.get("/health", key="")).json == {"ok": True, "faults": []}


async def test_a_silent_chain(rig: Rig) -> None:
    """By a metagraph that is too old nobody is asked."""
    rig.view._read_at -= 3600
    assert "chain" in (await rig.post(picture(True))).problem(503, "not-ready")


async def test_more_than_there_is_room_for(tmp_path: Path, journal: Path) -> None:
    """Fifty at once where two may be in work and two wait: each is answered or refused with 503, none fails."""
    async with gateway(tmp_path, journal, room=Room(2, 2)) as rig:
        answers = await asyncio.gather(*(rig.post(picture(True)) for _ in range(20)))
        refused = [answer for answer in answers if answer.status != 200]
        assert 0 < len(refused) < 20
        for answer in refused:
            answer.problem(503, "busy")


async def test_ids_and_headers(rig: Rig) -> None:
    """A client's own request id comes back, a strange one does not; nothing is kept in caches."""
    answer = await rig.post(picture(True), X_Request_Id="mine-7")
    assert answer.headers["x-request-id"] == "mine-7"
    answer = await rig.get("/nothing")
    answer.problem(404, "not-found")
    assert answer.headers["cache-control"] == "no-store"
    other = await rig.post(picture(True), X_Request_Id="<script>")
    assert other.headers["x-request-id"] != "<script>"
    answer = await rig.get("/v1/detections")
    answer.problem(405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


async def test_a_fault_of_ours_has_its_id_everywhere(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 500 has the headers of every answer; what the server logs of it is logged with the request's id."""
    logged: list[object] = []

    class Hearing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append((bool(record.exc_info), structlog.contextvars.get_contextvars().get("request_id")))

    def fails() -> list[str]:
        raise RuntimeError("a mistake")

    hearing, server = Hearing(), logging.getLogger("uvicorn.error")
    monkeypatch.setattr(server, "filters", [])  # its bound on lines a minute, which other tests may have used up
    server.addHandler(hearing)
    monkeypatch.setattr(rig.api.service, "faults", fails)
    answer = await rig.send("GET", "/health", headers={"X-Request-Id": "mine-8"})
    assert "mistake" not in answer.problem(500, "fault")
    assert (answer.headers["x-request-id"], answer.headers["cache-control"]) == ("mine-8", "no-store")

    async def told() -> bool:
        return (True, "mine-8") in logged

    await until(told)
    server.removeHandler(hearing)


async def test_nobody_is_sent_elsewhere(rig: Rig) -> None:
    """An address with a stroke too many is none, whatever Host says."""
    for path in ("/health/", "/v1/detections/"):
        answer = await rig.send("GET", path, headers={"Host": "elsewhere.example"})
        answer.problem(404, "not-found")
        assert "location" not in answer.headers


async def test_openapi_says_what_there_is(rig: Rig) -> None:
    """Every status that these tests meet stands in it, with problems in their own type, and examples."""
    told = (await rig.get("/openapi.json", key="")).json
    posted = told["paths"]["/v1/detections"]["post"]  # type: ignore[index]
    assert posted["responses"].keys() >= {
        "200",
        "202",
        "400",
        "401",
        "403",
        "408",
        "409",
        "413",
        "415",
        "422",
        "429",
        "503",
    }
    assert posted["responses"]["422"]["content"].keys() == {"application/problem+json"}
    assert posted["security"]
    schemas = told["components"]["schemas"]  # type: ignore[index]
    assert all(schemas[name]["examples"] for name in ("Detection", "JobBody", "ProblemBody"))


async def test_two_files_or_none(rig: Rig) -> None:
    """The form has one field with one file."""
    for names, kind in (((), 400), (("file", "file"), 400), (("file", "extra"), 400), (("data",), 400)):
        form = aiohttp.FormData(default_to_multipart=True)
        for name in names:
            form.add_field(name, picture(True), filename="x")
        if not names:
            form.add_field("other", "x")
        answer = await rig.send("POST", "/v1/detections", data=form)
        answer.problem(kind, "bad-request")
    answer = await rig.send("POST", "/v1/detections", data=picture(True), headers={"Content-Type": "image/jpeg"})
    answer.problem(415, "not-multipart")
