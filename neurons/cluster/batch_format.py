"""What travels between a miner and its replicas: a batch of media as bytes, and back a reply of JSON.

A batch is a file of safetensors: item N is the tensor "N", uint8 (T, H, W, 3), and a clip has its rate in "N.fps". No
part of it is code, so that neither side has to trust the other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
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


def to_reply(about: About, predictions: Sequence[Prediction] = ()) -> str:
    """Who answers, and what, as JSON; numbers come back as they were, to the last bit."""
    return json.dumps({**asdict(about), "p_synthetic": [prediction.p_synthetic for prediction in predictions]})


def from_reply(text: str | bytes) -> tuple[About, list[Prediction]]:
    """What `to_reply` wrote. Raises ValueError for anything else."""
    try:
        values = json.loads(text)
        names, count = (str(values["name"]), str(values["weights_hash"])), int(values["replicas"])
        about = About(*names, count, float(values["seconds"]))
        if count < 1 or not 0 < about.seconds < math.inf:
            raise ValueError(f"a reply of {count} replicas, {about.seconds} s an item")
        return about, [Prediction(value) for value in values["p_synthetic"]]
    except (TypeError, LookupError) as error:
        raise ValueError(f"this is no reply of a replica: {error!r}") from error
