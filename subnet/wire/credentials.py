"""The `btauth/1` headers of a request, read strictly and before its body.

Everything that can be refused without the body is refused here: shape, receiver, age, and the signature too where
the request says the digest of its body, since that is all of the body that `btauth/1` signs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import bittensor_core

from subnet.wire.admission import Refused
from subnet.wire.synapse import DIGEST_HEADER, Envelope, request_text, signed_by

MAX_AGE: Final = 10.0  # seconds a request may be old on arrival
ALLOWED_SKEW: Final = 2.0  # seconds it may be ahead of our clock

PROVEN: Final = "assay.proven"  # ASGI extension; its "call" says that a request has proven its hotkey

_REQUIRED: Final = {
    "version": re.compile(r"1"),
    "hotkey": re.compile(r"[1-9A-HJ-NP-Za-km-z]{46,49}"),
    "receiver": re.compile(r"[1-9A-HJ-NP-Za-km-z]{46,49}"),
    "nonce": re.compile(r"[1-9][0-9]{0,18}"),
    "signature": re.compile(r"0x[0-9a-fA-F]{128}"),
}
_OPTIONAL: Final = {"crypto": re.compile(r"sr25519|ed25519")}
_SCHEMES: Final = {"sr25519": bittensor_core.CRYPTO_SR25519, "ed25519": bittensor_core.CRYPTO_ED25519}
_PREFIX: Final = "x-bittensor-"
_SHAPES: Final[list[tuple[str, re.Pattern[str], bool]]] = [
    (_PREFIX + short, shape, short in _REQUIRED) for short, shape in (_REQUIRED | _OPTIONAL).items()
]
_SHAPES.append((DIGEST_HEADER.lower(), re.compile(r"[0-9a-f]{64}"), False))
_OURS: Final = frozenset(name for name, _, _ in _SHAPES)
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_FRAMING: Final = (b"content-length", b"transfer-encoding", b"content-type", b"host")

RawHeaders = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Credentials:
    """A claim, not yet proven: this hotkey says it sent this to us at this time."""

    hotkey: str
    nonce: int  # nanoseconds since 1970
    signature: str  # 0x and hex
    scheme: str  # sr25519 or ed25519
    digest: str | None  # sha256 of the body in hex, where the request says it ahead
    length: int | None  # Content-Length, bytes; None for a chunked body

    def proven(self, receiver: str, method: str, target: str, digest: str) -> bool:
        """Whether the hotkey signed this method, target (path and query) and body, for `receiver`."""
        envelope = Envelope(self.nonce, digest, self.hotkey, receiver)
        text = request_text(envelope, method, target, self.scheme)
        return signed_by(self.hotkey, self.signature, text, _SCHEMES[self.scheme])


def read_credentials(raw: RawHeaders, receiver: str, now_ns: int) -> Credentials | Refused:
    """Credentials from raw ASGI headers (lowercase names), or why not (401; 400 for broken framing)."""
    found: dict[str, str] = {}
    for name, value in raw:
        framing = name in _FRAMING
        text = name.decode("latin-1")
        if framing or text in _OURS:
            if text in found:
                return Refused(400 if framing else 401, f"{text[:40]} stands twice")
            found[text] = value.decode("latin-1").strip(" \t")
    length = found.get("content-length")
    if length is not None and _LENGTH.fullmatch(length) is None:
        return Refused(400, "content-length is not a number of bytes")
    reason = _ill_formed(found) or _unfit(found, receiver, now_ns)
    if reason:
        return Refused(401, reason)
    return Credentials(
        hotkey=found[_PREFIX + "hotkey"],
        nonce=int(found[_PREFIX + "nonce"]),
        signature=found[_PREFIX + "signature"],
        scheme=found.get(_PREFIX + "crypto", "sr25519"),
        digest=found.get(DIGEST_HEADER.lower()),
        length=None if length is None else int(length),
    )


def _ill_formed(auth: dict[str, str]) -> str:
    """Why the headers are not those of the protocol, or ""."""
    for name, shape, required in _SHAPES:
        value = auth.get(name)
        if (required and value is None) or (value is not None and shape.fullmatch(value) is None):
            return f"{name} is missing or malformed"
    return ""


def _unfit(auth: dict[str, str], receiver: str, now_ns: int) -> str:
    """Why well-formed headers are not for us, now, or ""."""
    if auth[_PREFIX + "receiver"] != receiver:
        return "signed for another receiver"
    age = (now_ns - int(auth[_PREFIX + "nonce"])) / 1e9
    if age > MAX_AGE:
        return f"stale: the nonce is more than {MAX_AGE:g} s old by this axon's clock"
    if age < -ALLOWED_SKEW:
        return f"the nonce is more than {ALLOWED_SKEW:g} s ahead of this axon's clock"
    return ""
