"""The `btauth/1` headers of a request, read strictly and before its body.

Everything that can be refused without the body is refused here: shape, receiver, age. The signature covers the body,
so it comes last, through `bittensor.http_auth.verify`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from subnet.admission import Refused

MAX_AGE: Final = 10.0  # seconds a request may be old on arrival
ALLOWED_SKEW: Final = 2.0  # seconds it may be ahead of our clock

_REQUIRED: Final = {
    "version": re.compile(r"1"),
    "hotkey": re.compile(r"[1-9A-HJ-NP-Za-km-z]{46,49}"),
    "receiver": re.compile(r"[1-9A-HJ-NP-Za-km-z]{46,49}"),
    "nonce": re.compile(r"[1-9][0-9]{0,18}"),
    "signature": re.compile(r"0x[0-9a-fA-F]{128}"),
}
_OPTIONAL: Final = {"crypto": re.compile(r"sr25519|ed25519")}
_SHAPES: Final = {**_REQUIRED, **_OPTIONAL}
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_PREFIX: Final = "x-bittensor-"
_SINGLE: Final = ("content-length", "transfer-encoding", "content-type", "host")

RawHeaders = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Credentials:
    """A claim, not yet proven: this hotkey says it sent this to us at this time."""

    hotkey: str
    nonce: int  # nanoseconds since 1970
    headers: dict[str, str]  # the btauth headers, lowercase names
    length: int | None  # Content-Length, bytes; None for a chunked body


def read_credentials(raw: RawHeaders, receiver: str, now_ns: int) -> Credentials | Refused:
    """Credentials from raw ASGI headers (lowercase names), or why not (401; 400 for broken framing)."""
    headers = [(name.decode("latin-1"), value.decode("latin-1").strip(" \t")) for name, value in raw]
    names = Counter(name for name, _ in headers)
    twice = next((name for name in _SINGLE if names[name] > 1), None)
    if twice is not None:
        return Refused(400, f"header {twice} stands twice")
    length = next((value for name, value in headers if name == "content-length"), None)
    if length is not None and _LENGTH.fullmatch(length) is None:
        return Refused(400, "content-length is not a number of bytes")
    auth = {name: value for name, value in headers if name.startswith(_PREFIX)}
    reason = _ill_formed(auth, names) or _unfit(auth, receiver, now_ns)
    if reason:
        return Refused(401, reason)
    nonce = int(auth[_PREFIX + "nonce"])
    return Credentials(auth[_PREFIX + "hotkey"], nonce, auth, None if length is None else int(length))


def _ill_formed(auth: dict[str, str], names: Counter[str]) -> str:
    """Why the headers cannot be read in exactly one way, or ""."""
    for name in auth:
        if names[name] > 1:
            return f"{name[:40]} stands twice"
    for short, shape in _SHAPES.items():
        value = auth.get(_PREFIX + short, "" if short in _REQUIRED else None)
        if value is not None and shape.fullmatch(value) is None:
            return f"{_PREFIX}{short} is missing or malformed"
    return ""


def _unfit(auth: dict[str, str], receiver: str, now_ns: int) -> str:
    """Why well-formed headers are not for us, now, or ""."""
    if auth[_PREFIX + "receiver"] != receiver:
        return "signed for another receiver"
    age = (now_ns - int(auth[_PREFIX + "nonce"])) / 1e9
    if age > MAX_AGE:
        return f"stale: the nonce is more than {MAX_AGE:g} s old"
    if age < -ALLOWED_SKEW:
        return f"the nonce is more than {ALLOWED_SKEW:g} s ahead of this clock"
    return ""
