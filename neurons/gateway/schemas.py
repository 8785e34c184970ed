"""The JSON of the API, as OpenAPI shows it."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from neurons.gateway.judgement.aggregation import Verdict
from neurons.gateway.store.jobs import State
from subnet.types import Modality

_DETECTION: Final[dict[str, Any]] = {
    "id": "det_4Wf3kUq2Yc9mB0aR",
    "modality": "image",
    "verdict": "synthetic",
    "p_synthetic": 0.962,
    "interval": [0.641, 0.997],
    "agreement": 0.8,
    "asked": 6,
    "answered": 5,
    "measured_on": 600,
    "seconds": 0.41,
    "miners": None,
}


class _Told(BaseModel):
    """What a client does not know yet it passes over: a later gateway may tell more."""

    model_config = ConfigDict(frozen=True)


class MinerAnswer(_Told):
    """What one miner said."""

    hotkey: str
    p_synthetic: float = Field(ge=0, le=1)
    weight: float = Field(
        ge=0, le=1, description="how much its evidence counted beside the best one's; 0 for a miner without skill"
    )


class Detection(_Told):
    """What the subnet's miners say of a file, put together."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_DETECTION]})

    id: str
    modality: Modality
    verdict: Verdict = Field(description="'no trace found' does not say that the file is real")
    p_synthetic: float = Field(ge=0, le=1, description="P(synthetic), were both kinds equally frequent")
    interval: tuple[float, float] = Field(
        description="of p_synthetic if the file were sent again, to other miners: 95 of 100 lie in it"
    )
    agreement: float = Field(
        ge=0, le=1, description="of the answers of miners with skill, the share on the side of p_synthetic"
    )
    asked: int = Field(ge=1, description="miners asked, those that failed included")
    answered: int = Field(ge=1)
    measured_on: int = Field(ge=0, description="questions of known truth that the miners' skill was measured on")
    seconds: float = Field(ge=0)
    miners: list[MinerAnswer] | None = Field(None, description="each answer, for keys with the scope 'answers'")


class ProblemBody(_Told):
    """RFC 9457."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:assay:problem:too-many-requests",
                    "title": "Too many requests",
                    "status": 429,
                    "detail": "more than 60 requests a minute",
                    "request_id": "9f0c5f3e5a1c4a58",
                    "retry_after": 1,
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    retry_after: int | None = None


class JobBody(_Told):
    """A file that is answered later. `detection` is there when it is done, `problem` when it failed."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"examples": [{"id": "Hn3y0pXq", "state": "queued"}]},
    )

    id: str
    state: State
    expires: int | None = Field(
        None, description="of a job that ended: seconds since 1970 from which on it is forgotten"
    )
    detection: Detection | None = None
    problem: ProblemBody | None = None


class Health(_Told):
    """Whether files can be judged, and why not."""

    ok: bool
    faults: list[str]
