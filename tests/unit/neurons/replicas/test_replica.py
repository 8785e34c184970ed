"""A replica's process: whose fault it is when there is no answer, and when it is to be replaced."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from starlette.requests import Request

from detectors.evaluation.self_test import example
from neurons.cluster.batch_format import from_reply, pack
from neurons.miner.settings import DetectorSettings, JudgeSettings
from neurons.replicas.replica import SICK, Replica
from neurons.replicas.settings import ClusterSettings
from subnet.errors import SettingsError
from subnet.types import Media, Modality, Prediction
from tests.unit.neurons.running import Assay

PICTURE = example(Modality.IMAGE)


class Moody:
    """A detector that raises what it is told to."""

    name, modality, weights_hash = "moody", Modality.IMAGE, "ab" * 32

    def __init__(self) -> None:
        self.error: Exception | None = None

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        if self.error:
            raise self.error
        return [Prediction(0.75)] * len(batch)


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> tuple[Moody, Replica]:
    detector = Moody()
    monkeypatch.setattr("neurons.replicas.replica.load_detector", lambda wanted, modality: {"cpu": detector})
    return detector, Replica(JudgeSettings(), Modality.IMAGE, 2)


async def ask(replica: Replica, body: bytes, query: bytes = b"") -> tuple[int, bytes]:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    response = await replica(Request({"type": "http", "method": "POST", "headers": [], "query_string": query}, receive))
    return response.status_code, bytes(response.body)


async def test_an_empty_batch_says_who_answers(moody: tuple[Moody, Replica]) -> None:
    """It asks nothing of the detector: a replica at work answers it, too."""
    moody[0].error = RuntimeError("at work")
    status, reply = await ask(moody[1], pack([]))
    about, predictions = from_reply(reply)
    assert (status, about.name, about.weights_hash, about.replicas, predictions) == (200, "moody", "ab" * 32, 2, [])
    assert about.seconds > 0


@pytest.mark.parametrize(
    ("error", "status"), [(MemoryError("full"), 507), (RuntimeError("device lost"), 500), (ValueError("NaN"), 500)]
)
async def test_what_a_detector_raises_has_a_status(moody: tuple[Moody, Replica], error: Exception, status: int) -> None:
    """Memory, for which the miner halves its batch, is told from a fault, for which it asks another replica."""
    moody[0].error = error
    got, text = await ask(moody[1], pack([PICTURE]))
    assert (got, str(error).encode() in text) == (status, True)


async def test_bytes_that_are_no_batch_are_the_callers_fault(moody: tuple[Moody, Replica]) -> None:
    """422, and the replica stays healthy however many come."""
    for _ in range(2 * SICK):
        assert (await ask(moody[1], b"GET / HTTP/1.1"))[0] == 422
    moody[1].check_health()


@pytest.mark.parametrize("question", ["", "moments", "account", "weights", "__class__"])
async def test_a_question_that_is_none_is_the_callers_fault(question: str) -> None:
    """One that nobody knows, and two items for one that is about a single one: 422, and the replica stays healthy."""
    replica = Replica(JudgeSettings("constant", "constant-video", "cpu"), Modality.IMAGE, 1)
    body, query = pack([PICTURE, PICTURE]), f"question={question}".encode()
    for _ in range(2 * SICK):
        assert (await ask(replica, body, query))[0] == (422 if question else 200)
    replica.check_health()
    assert (await ask(replica, body, b"question=parts"))[0] == 200


async def test_a_replica_that_only_fails_is_replaced(moody: tuple[Moody, Replica]) -> None:
    """After `SICK` faults in a row its health check raises; one answer between them, and it does not."""
    detector, replica = moody
    detector.error = RuntimeError("device lost")
    for _ in range(SICK - 1):
        await ask(replica, pack([PICTURE]))
    replica.check_health()
    detector.error = None
    await ask(replica, pack([PICTURE]))
    detector.error = RuntimeError("device lost")
    for _ in range(SICK - 1):
        await ask(replica, pack([PICTURE]))
        await ask(replica, pack([]))  # a look makes nobody well
    replica.check_health()
    await ask(replica, pack([PICTURE]))
    with pytest.raises(RuntimeError, match="moody failed 3 times"):
        replica.check_health()


@pytest.mark.parametrize(
    ("flag", "value"),
    [("replicas", 0), ("cpus", -1.0), ("gpus", float("nan")), ("port", 70000), ("host", "head"), ("port", 0)],
)
def test_settings_name_their_flag(flag: str, value: object) -> None:
    """Each value that cannot be is refused by the name of its flag, before Ray is imported."""
    with pytest.raises(SettingsError, match=rf"--ray\.{flag}"):
        ClusterSettings(**{flag: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address", ["head:8000", "ray://head:10001", "http://head", "http://:80", "http://h:99999", "http://h:1/x"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """The flag, and what it should look like."""
    with pytest.raises(SettingsError, match=r"--detector\.address must be http://HOST:PORT"):
        DetectorSettings(address=address)


def test_what_the_replicas_decide_is_theirs() -> None:
    """A detector named to a miner that loads none would be ignored: it is refused, with where it belongs."""
    assert DetectorSettings(address="http://127.0.0.1:8000/").max_batch == 32
    with pytest.raises(SettingsError, match=r"--detector\.image is for `assay replicas`"):
        DetectorSettings("npr-weak", address="http://127.0.0.1:8000")


def test_without_ray_the_extra_is_named(assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install; flags are checked before."""
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    ran = assay("replicas")
    assert (ran.status, "pip install 'assay-subnet[ray]'" in ran.message) == (2, True)
    assert "--ray.replicas" in assay("replicas", "--ray.replicas", "0").message
