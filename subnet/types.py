"""The nouns of the game: frozen values that cannot be built wrong.

Nothing here does I/O, and nothing here knows torch or the chain SDK. Arrays are numpy, made read-only.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Frames: TypeAlias = "NDArray[np.uint8]"  # (T, H, W, 3), RGB; a text, since settings know types and need no numpy
JSON = str | int | float | bool | None | list["JSON"] | dict[str, "JSON"]

U16 = 65535  # the largest weight, and the whole of a share, as the chain counts them


class Modality(StrEnum):
    """What kind of media is asked about."""

    IMAGE = "image"
    VIDEO = "video"


class Label(IntEnum):
    """The truth about a sample; the positive class is synthetic."""

    REAL = 0
    SYNTHETIC = 1


class Split(StrEnum):
    """Which of three disjoint sets, split by source photo or clip, an embedded item belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, eq=False)
class Media:
    """RGB frames, uint8 (T, H, W, 3) in 0..255. An image is one frame without a rate; a video has `fps` > 0."""

    frames: Frames = field(repr=False)
    fps: float | None = None

    def __post_init__(self) -> None:
        import numpy as np

        frames = self.frames
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
            raise ValueError(f"frames must be uint8 (T, H, W, 3) and not empty, not {frames.dtype} {frames.shape}")
        if self.fps is None and len(frames) != 1:
            raise ValueError(f"{len(frames)} frames need a rate: give fps, or one frame for an image")
        if self.fps is not None and not (math.isfinite(self.fps) and 0 < self.fps <= 1000):
            raise ValueError(f"fps must be in (0, 1000], not {self.fps}")
        frames = np.ascontiguousarray(frames)
        if frames.flags.writeable:
            frames = frames.view()
            frames.flags.writeable = False
        object.__setattr__(self, "frames", frames)

    @property
    def modality(self) -> Modality:
        return Modality.IMAGE if self.fps is None else Modality.VIDEO


@dataclass(frozen=True)
class Provenance:
    """Where a sample comes from. For fakes `model` and `seed` are set, and `parameters` says how it was made."""

    source: str
    item: str
    licence: str = "unknown"
    model: str | None = None
    prompt: str | None = None
    seed: int | None = None
    parameters: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Sample:
    """Media with the truth about it."""

    media: Media
    label: Label
    provenance: Provenance

    @property
    def modality(self) -> Modality:
        return self.media.modality


@dataclass(frozen=True, eq=False)
class Challenge:
    """One question. Private to the validator: only encoded media leaves, never the label or the provenance.

    `seed` makes every miner's variant again: the variant for a hotkey depends on (seed, hotkey, level) alone.
    """

    id: str
    sample: Sample
    seed: int
    level: int


THRESHOLD = 0.5  # P(synthetic) above this says synthetic; a tie at exactly this says real


@dataclass(frozen=True)
class Prediction:
    """P(synthetic) in [0, 1]. Raises ValueError for anything else, NaN included."""

    p_synthetic: float

    def __post_init__(self) -> None:
        value = self.p_synthetic
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
            raise ValueError(f"p_synthetic must be a number in [0, 1], not {value!r}")

    @property
    def label(self) -> Label:
        """Synthetic when p > THRESHOLD."""
        return Label.SYNTHETIC if self.p_synthetic > THRESHOLD else Label.REAL


class Failure(StrEnum):
    """Why there is no prediction. Every one of them is scored as a wrong answer; none is a number."""

    TIMEOUT = "timeout"  # no complete reply before the deadline
    UNREACHABLE = "unreachable"  # no connection, or it broke
    REFUSED = "refused"  # the miner answered 4xx
    ERROR = "error"  # the miner answered 5xx
    MALFORMED = "malformed"  # not the JSON we asked for, a redirect, or not 2xx
    TOO_LARGE = "too_large"  # more bytes than a reply may have
    OUT_OF_RANGE = "out_of_range"  # a number outside [0, 1], NaN or infinite
    BAD_SIGNATURE = "bad_signature"  # the reply is not signed by the hotkey that was asked
    NO_ENDPOINT = "no_endpoint"  # nothing published on chain, or an address we do not call


Answer = Prediction | Failure


@dataclass(frozen=True)
class Endpoint:
    """Where an axon listens, as published on chain."""

    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True)
class Neuron:
    """One row of the metagraph. The hotkey is the identity of history, the uid only of weights."""

    uid: int
    hotkey: str
    coldkey: str
    stake: float  # TAO-equivalent stake weight, >= 0
    permit: bool  # validator permit
    endpoint: Endpoint | None = None
    last_update: int = 0  # block of its last weights
    registered_at: int = 0  # block
    incentive: float = 0.0  # 0..1
    dividends: float = 0.0  # 0..1


@dataclass(frozen=True)
class Hyperparameters:
    """The chain's rules for this subnet that a validator must respect. Blocks unless said otherwise."""

    tempo: int
    weights_rate_limit: int
    version_key: int = 0
    min_allowed_weights: int = 1
    max_weight_limit: int = U16  # share of the largest weight; U16 means no limit
    commit_reveal: bool = False
    immunity_period: int = 4096


@dataclass(frozen=True)
class Snapshot:
    """The subnet at one block."""

    netuid: int
    block: int
    neurons: tuple[Neuron, ...]
    hyperparameters: Hyperparameters

    def neuron(self, hotkey: str) -> Neuron | None:
        return next((n for n in self.neurons if n.hotkey == hotkey), None)


class Submission(StrEnum):
    """What became of a transaction."""

    OK = "ok"
    TOO_EARLY = "too_early"  # try again in `blocks`
    REJECTED = "rejected"  # the chain said no: `code`
    AMBIGUOUS = "ambiguous"  # fate unknown: read the chain again before a retry


@dataclass(frozen=True)
class Receipt:
    """The typed result of a transaction: never an exception for what the chain may say."""

    submission: Submission
    block: int | None = None
    blocks: int | None = None
    code: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Statement:
    """What a hotkey has committed on chain, and the block in which it did."""

    text: str
    block: int


@dataclass(frozen=True)
class Query:
    """What one miner is sent: the encoded variant and its type. It has no seat for a label."""

    modality: Modality
    body: bytes = field(repr=False)
    content_type: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """sha256 of the body in lowercase hex, made once."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True)
class Reply:
    """What came back from one miner; `latency` in seconds from sending to the last byte.

    `signature` (0x and hex) is the miner's over the answer, bound to the request of that `nonce`: only beside a
    prediction, since nothing else is signed.
    """

    answer: Answer
    latency: float
    detector: str | None = None
    weights_hash: str | None = None
    status: int | None = None
    reason: str = ""
    nonce: int | None = None
    signature: str = ""


class Outcome(NamedTuple):
    """The append-only fact: what one hotkey answered to one challenge. A named tuple, since a round makes many."""

    hotkey: str
    challenge: str
    modality: Modality
    label: Label
    answer: Answer
    latency: float
    block: int

    @property
    def correct(self) -> bool:
        answer = self.answer
        return isinstance(answer, Prediction) and answer.label is self.label


@dataclass(frozen=True)
class ModalityScore:
    """One modality's part of a score, over the rolling windows."""

    accuracy: float  # last 10
    mcc: float  # last 100, never below 0
    reward: float  # (mcc + accuracy) / 2
    asked: int  # ever
    window: int  # outcomes held


@dataclass(frozen=True)
class Score:
    """What a hotkey has earned: `value` is the moving average, the rest says how it came about."""

    hotkey: str
    value: float
    parts: Mapping[Modality, ModalityScore]
    asked: int = 0
    answered: int = 0
    failures: Mapping[Failure, int] = field(default_factory=dict)
