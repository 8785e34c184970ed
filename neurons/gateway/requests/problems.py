"""What a gateway refuses, as `application/problem+json` (RFC 9457): a type, a title, a status, and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from subnet.errors import SubnetError

MEDIA_TYPE: Final = "application/problem+json"
TYPES: Final = "urn:assay:problem:"  # before the name of a kind


class Kind(Enum):
    """Every kind of problem: its name, its status, its title."""

    BAD_REQUEST = ("bad-request", 400, "The request cannot be read")
    KEY_IN_ADDRESS = ("key-in-address", 400, "A key does not belong into an address")
    UNAUTHORIZED = ("unauthorized", 401, "A valid key is needed")
    FORBIDDEN = ("forbidden", 403, "This key does not open that")
    NOT_FOUND = ("not-found", 404, "There is nothing here")
    NOT_ALLOWED = ("method-not-allowed", 405, "This method is not taken here")
    TOO_SLOW = ("too-slow", 408, "The upload took too long")
    IN_HAND = ("in-hand", 409, "The first request is not answered yet")
    TOO_LARGE = ("too-large", 413, "The file is too large")
    NOT_MULTIPART = ("not-multipart", 415, "The file must come as multipart/form-data")
    UNREADABLE = ("unreadable", 422, "The file cannot be judged")
    ADDRESS = ("address-refused", 422, "The file cannot be fetched")
    DIFFERENT = ("different-file", 422, "An Idempotency-Key stands for one file")
    HEAD = ("head-too-large", 431, "The headers are too large")
    TOO_MANY = ("too-many-requests", 429, "Too many requests")
    FAULT = ("fault", 500, "The gateway made a mistake")
    CODING = ("transfer-encoding", 501, "This Transfer-Encoding is not taken here")
    BUSY = ("busy", 503, "The gateway has no room now")
    NO_ANSWER = ("no-answer", 503, "No miner answered")
    NOT_READY = ("not-ready", 503, "The gateway cannot judge now")

    def __init__(self, label: str, status: int, title: str) -> None:
        self.label, self.status, self.title = label, status, title

    @property
    def passes(self) -> bool:
        """Whether nothing is said of the file: the same request may be taken later, and no quota counts it."""
        return self.status in (403, 408, 409, 429) or self.status >= 500


@dataclass(frozen=True)
class Problem:
    """One refusal. `detail` is for the client, without anything of this machine; `retry_after` in seconds."""

    kind: Kind
    detail: str
    retry_after: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def fields(self, request_id: str) -> dict[str, Any]:
        """The members of the JSON object."""
        told: dict[str, Any] = {
            "type": TYPES + self.kind.label,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        return told if self.retry_after is None else {**told, "retry_after": seconds(self.retry_after)}


class Refusal(SubnetError):
    """Carries a problem out of whatever found it. `unread` says that the rest of the request's body is."""

    def __init__(self, kind: Kind, detail: str, retry_after: float | None = None, *, unread: bool = False) -> None:
        super().__init__(detail)
        self.problem, self.unread = Problem(kind, detail, retry_after), unread


def seconds(value: float) -> int:
    """Whole seconds, at least one, as Retry-After has them."""
    return max(1, math.ceil(value))
