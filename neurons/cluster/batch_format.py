"""What travels between replicas and whoever asks them: a batch of media as bytes, and back a reply of JSON.

A batch is a file of safetensors: item N is the tensor "N", uint8 (T, H, W, 3), and a clip has its rate in "N.fps". No
part of it is code, so that neither side has to trust the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.numpy import load, save

from subnet.errors import MediaUnreadable
from subnet.types import Media, Prediction


@dataclass(frozen=True)
class About:
    """What answers: a detector's name, the sha256 of its weights in hex ("" without any), how many replicas there are,
    and how many seconds one item takes there."""

    name: str
    weights_hash: str
    replicas: int
    seconds: float

    def same(self, other: About) -> bool:
        """Whether both are of one detector with the same weights."""
        return (self.name, self.weights_hash) == (other.name, other.weights_hash)


class _Reply(BaseModel):
    model_config = ConfigDict(strict=True)

    name: Annotated[str, Field(max_length=200)]
    weights_hash: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
    replicas: Annotated[int, Field(ge=1, le=10**6)]
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    p_synthetic: list[float]


def pack(batch: Sequence[Media]) -> bytes:
    """A batch of media as bytes."""
    tensors = {str(number): media.frames for number, media in enumerate(batch)}
    rates = {f"{number}.fps": np.array([media.fps]) for number, media in enumerate(batch) if media.fps is not None}
    return bytes(save({**tensors, **rates}))


def unpack(data: bytes) -> list[Media]:
    """What `pack` made bytes of. Raises MediaUnreadable for anything else."""
    try:
        tensors = load(data)
        count = sum("." not in name for name in tensors)
        rates = {name.removesuffix(".fps"): float(rate.item()) for name, rate in tensors.items() if "." in name}
        return [Media(tensors[str(number)], rates.get(str(number))) for number in range(count)]
    except (SafetensorError, ValueError, KeyError) as error:
        raise MediaUnreadable(f"this is no batch of media: {error}") from error


def to_reply(about: About, predictions: Sequence[Prediction] = (), told: Mapping[str, Any] | None = None) -> str:
    """Who answers, and what, as JSON; numbers come back as they were, to the last bit."""
    values = {**asdict(about), "p_synthetic": [prediction.p_synthetic for prediction in predictions]}
    return json.dumps(values if told is None else {**values, "told": told})


def from_reply(text: str | bytes) -> tuple[About, list[Prediction]]:
    """What `to_reply` wrote. Raises ValueError for anything else."""
    reply = _Reply.model_validate_json(text)
    about = About(reply.name, reply.weights_hash, reply.replicas, reply.seconds)
    return about, [Prediction(value) for value in reply.p_synthetic]
