"""What OpenAPI promises, tried by schemathesis where it is installed."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.unit.neurons.gateway.rig import Rig, clip, gateway, picture

HERE = "tests.unit.neurons.gateway.schemathesis_hooks"
CONFIG = str(Path(__file__).with_name("schemathesis.toml"))
NEEDS = "schemathesis is not installed: pip install 'schemathesis>=4.32,<5'"


async def test_every_answer_is_described_with_its_headers(rig: Rig) -> None:
    """What is told of an answer is what comes, and the other way round: no 422 of jobs, every header of ours."""
    paths = (await rig.get("/openapi.json", key="")).json["paths"]
    post, get = paths["/v1/detections"]["post"]["responses"], paths["/v1/jobs/{id}"]["get"]["responses"]  # type: ignore[index]
    assert "422" not in get
    assert all("X-Request-Id" in answer["headers"] for answer in (*post.values(), *get.values()))
    queued = await rig.post(clip(True), Idempotency_Key="a")
    again = await rig.post(clip(True), Idempotency_Key="a")
    other = await rig.post(picture(True), Idempotency_Key="a")
    job = await rig.get(f"/v1/jobs/{queued.json['id']}")
    once = rig.new_key("once", quota=1)
    judged, spent = [await rig.post(picture(True), key=once) for _ in range(2)]
    assert (other.status, judged.status, spent.status) == (422, 200, 429)
    for described, came in ((get, job), *((post, came) for came in (queued, again, other, judged, spent))):
        own = {"x-request-id", "retry-after", "idempotency-replayed", "location"} & came.headers.keys()
        assert own <= {name.lower() for name in described[str(came.status)]["headers"]}, came
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("schemathesis") is None, reason=NEEDS)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("schemes", [(), ("https",)])
async def test_nothing_answers_against_its_schema(tmp_path: Path, journal: Path, schemes: tuple[str, ...]) -> None:
    """Made-up requests, right and wrong ones, of every operation by every check there is: not one finding."""
    async with gateway(tmp_path, journal, schemes=schemes) as rig:
        words = ("run", f"{rig.url}/openapi.json", "--checks", "all", "--seed", "7", "--max-examples", "40")
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "schemathesis.cli",
                "--config-file",
                CONFIG,
                *words,
                "--header",
                f"Authorization: Bearer {rig.key}",
            ),
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": HERE, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
    lines = told.decode(errors="replace").splitlines()
    assert process.returncode == 0, "\n".join(line for line in lines if len(line) < 500 and line.isprintable())
