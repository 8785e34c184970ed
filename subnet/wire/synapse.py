"""What travels between dendrite and axon: the two synapses, the reply, and the texts that are signed.

Pure: no sockets, no clock. A request is a POST of raw bytes under `btauth/1` headers (the SDK's `bittensor.http_auth`
defines them); a reply is a small JSON object that the miner signs, because btauth leaves replies unsigned.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import bittensor_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from subnet.printing import printable
from subnet.types import Answer, Failure, Modality, Prediction

REPLY_VERSION = "assay-reply/1"
MAX_REPLY_BYTES = 64 * 1024
PREFIX = "X-Bittensor-"
DIGEST_HEADER = (
    "X-Assay-Digest"  # sha256 of the body in lowercase hex: what the signature covers, known before the body
)


class Signer(Protocol):
    """A hotkey that can sign: a `bittensor` Keypair, or anything of its shape."""

    @property
    def ss58_address(self) -> str: ...

    @property
    def crypto_type(self) -> int: ...

    def sign(self, data: bytes, /) -> bytes: ...


class Synapse(BaseModel):
    """One typed request: where it is posted, what its body is, and how large the body may be (bytes)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    modality: Modality
    content_type: str
    max_body: int = Field(gt=0)

    @property
    def path(self) -> str:
        return f"/{self.name}"


ImageSynapse = Synapse(name="ImageSynapse", modality=Modality.IMAGE, content_type="image/jpeg", max_body=4 * 2**20)
VideoSynapse = Synapse(name="VideoSynapse", modality=Modality.VIDEO, content_type="video/mp4", max_body=16 * 2**20)
SYNAPSES: Mapping[Modality, Synapse] = {s.modality: s for s in (ImageSynapse, VideoSynapse)}


class ReplyBody(BaseModel):
    """The JSON a miner answers with. No other keys; types are exact (`"0.5"` is not a number)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    prediction: float = Field(description="P(synthetic), in [0, 1]")
    detector: str = Field(pattern=r"^[A-Za-z0-9._+-]{1,64}$", description="the detector's name")
    weights_hash: str = Field(pattern=r"^([0-9a-f]{64})?$", description="sha256 of the weights in hex, or empty")
    signature: str = Field(pattern=r"^0x[0-9a-f]{128}$", description="the miner's hotkey over `reply_text`")


@dataclass(frozen=True)
class Envelope:
    """What a reply is bound to: this nonce, this body, from this hotkey to that one."""

    nonce: int  # nanoseconds since 1970
    digest: str  # sha256 of the request body, lowercase hex
    sender: str
    receiver: str


@dataclass(frozen=True)
class Judged:
    """What a reply's body came to; `body` is None where it could not be read."""

    answer: Answer
    body: ReplyBody | None = None
    reason: str = ""


def digest_of(body: bytes) -> str:
    """sha256 in lowercase hex."""
    return hashlib.sha256(body).hexdigest()


def request_text(envelope: Envelope, method: str, target: str, scheme: str = "sr25519") -> bytes:
    """The bytes a sender signs under `btauth/1`: `bittensor.http_auth.build_payload`, from a hash already made."""
    e = envelope
    return "\n".join(("btauth/1", scheme, method, target, e.digest, str(e.nonce), e.sender, e.receiver)).encode()


def signed_headers(signer: Signer, envelope: Envelope, method: str, target: str) -> dict[str, str]:
    """btauth/1 headers, the same as `bittensor.http_auth.sign` makes, and the digest that they sign ahead of the body.

    `signer` is the hotkey `envelope.sender`.
    """
    scheme = "ed25519" if signer.crypto_type == bittensor_core.CRYPTO_ED25519 else "sr25519"
    signature = signer.sign(request_text(envelope, method, target, scheme))
    headers = {
        PREFIX + "Version": "1",
        PREFIX + "Hotkey": envelope.sender,
        PREFIX + "Receiver": envelope.receiver,
        PREFIX + "Nonce": str(envelope.nonce),
        PREFIX + "Signature": "0x" + signature.hex(),
        DIGEST_HEADER: envelope.digest,
    }
    if scheme != "sr25519":
        headers[PREFIX + "Crypto"] = scheme
    return headers


def reply_text(envelope: Envelope, prediction: float, detector: str, weights_hash: str) -> bytes:
    """The bytes a miner signs: eight lines; the number as the 16 hex digits of its IEEE 754 binary64, big-endian."""
    e = envelope
    number = struct.pack(">d", prediction).hex()
    return "\n".join(
        (REPLY_VERSION, str(e.nonce), e.digest, e.sender, e.receiver, number, detector, weights_hash)
    ).encode()


def write_reply(signer: Signer, envelope: Envelope, prediction: float, detector: str, weights_hash: str) -> bytes:
    """A signed reply. `prediction` is not checked here: an honest miner holds a `Prediction`, the validator judges."""
    signature = signer.sign(reply_text(envelope, prediction, detector, weights_hash))
    fields = {
        "prediction": prediction,
        "detector": detector,
        "weights_hash": weights_hash,
        "signature": "0x" + signature.hex(),
    }
    return json.dumps(fields, separators=(",", ":")).encode()


class _DuplicateKey(ValueError):
    """A JSON object names a key twice, so two readers may see two answers."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _DuplicateKey("a key stands twice in the reply")
    return fields


def read_reply(body: bytes) -> ReplyBody:
    """Strict reading of a reply's body: UTF-8, one flat object, no key twice, exact types.

    Every number becomes a binary64 (huge ones infinity, `-0` stays negative). Raises ValueError with the reason,
    one printable line.
    """
    try:
        fields = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_int=float, parse_float=float, parse_constant=float
        )
    except UnicodeDecodeError:
        raise ValueError("the reply is not UTF-8") from None
    except RecursionError:
        raise ValueError("the reply is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the reply is not JSON: {error.msg} at {error.pos}") from None
    try:
        return ReplyBody.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(printable(str(part)[:40]) for part in first["loc"]) or "reply"
        raise ValueError(f"{place}: {first['msg']}") from None


def in_range(value: float) -> bool:
    """Whether `value` may be a probability: in [0, 1], not NaN, and not negative zero (its sign says it went below)."""
    return 0.0 <= value <= 1.0 and math.copysign(1.0, value) > 0


def signed_by(hotkey: str, signature: str, text: bytes, crypto_type: int = bittensor_core.CRYPTO_SR25519) -> bool:
    """Whether `signature` (0x + hex) over `text` is `hotkey`'s. False for anything undecodable."""
    try:
        return bool(bittensor_core.verify(text, bytes.fromhex(signature.removeprefix("0x")), hotkey, crypto_type))
    except ValueError:
        return False


def read_answer(body: bytes, envelope: Envelope) -> Judged:
    """A reply as an `Answer`. Checked in order: form (MALFORMED), range (OUT_OF_RANGE), signature (BAD_SIGNATURE)."""
    try:
        reply = read_reply(body)
    except ValueError as error:
        return Judged(Failure.MALFORMED, reason=str(error))
    if not in_range(reply.prediction):
        return Judged(Failure.OUT_OF_RANGE, reply, f"{reply.prediction!r} is not in [0, 1]")
    text = reply_text(envelope, reply.prediction, reply.detector, reply.weights_hash)
    if not signed_by(envelope.receiver, reply.signature, text):
        return Judged(Failure.BAD_SIGNATURE, reply, "the reply is not signed by the hotkey that was asked")
    return Judged(Prediction(reply.prediction), reply)
