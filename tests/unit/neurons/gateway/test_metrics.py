"""What a gateway counts while it answers."""

from __future__ import annotations

from neurons.gateway.metrics import Metrics
from tests.unit.neurons.gateway.rig import Rig, picture


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


async def test_requests_and_answers_are_counted(rig: Rig) -> None:
    """By the route, never by what a client wrote into an address, and by status; jobs and readiness as they are."""
    metrics = rig.api.metrics
    rig.working.cancel()
    assert (await rig.post(picture(True))).status == 200
    assert (await rig.post(b"nothing")).status == 422
    assert (await rig.post(b"\0\0\0\x18ftypisom" + bytes(500))).status == 202
    await rig.get("/v1/jobs/abc")
    await rig.get("/anything/else")
    await rig.get(f"/v1/jobs/{rig.key}")
    for path, status in (
        ("/v1/detections", 200),
        ("/v1/detections", 422),
        ("/v1/jobs/{id}", 404),
        ("", 404),
        ("", 400),
    ):
        assert value(metrics, "assay_gateway_requests_total", path=path, status=str(status)) == 1, (path, status)
    assert value(metrics, "assay_gateway_answers_total", kind="prediction") == 3
    assert value(metrics, "assay_gateway_jobs") == 1
    assert value(metrics, "assay_gateway_ready") == 1
    rig.journal.write_bytes(b"")
    await rig.api.service.refresh()
    assert value(metrics, "assay_gateway_ready") == 0
