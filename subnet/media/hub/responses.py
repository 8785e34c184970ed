"""What the hub's answers mean: files, commits, refusals, and for how long to leave it alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from subnet.errors import SourceEmpty

_RATE_LIMIT = re.compile(r"r=(\d+).*?t=(\d+)")


class HubUnavailable(SourceEmpty):
    """The hub gave nothing. `retry_after` seconds from now it may; `permanent` when only a person can change that."""

    def __init__(self, message: str, *, retry_after: float = 60.0, permanent: bool = False) -> None:
        super().__init__(message)
        self.retry_after, self.permanent = retry_after, permanent


@dataclass(frozen=True)
class HubFile:
    """One file of a repository: path, bytes, and its hash (sha256 for large files, git's blob sha1 for small ones)."""

    path: str
    size: int
    sha256: str | None
    sha1: str


@dataclass(frozen=True)
class Listing:
    """What a repository held at one commit."""

    repository: str
    commit: str
    files: tuple[HubFile, ...]


def hub_file(entry: Mapping[str, object]) -> HubFile:
    lfs = entry.get("lfs")
    large: Mapping[str, object] = lfs if isinstance(lfs, dict) else {}
    sha256 = large.get("oid")
    size = large.get("size", entry["size"])
    return HubFile(str(entry["path"]), int(str(size)), str(sha256) if sha256 else None, str(entry.get("oid", "")))


def raise_if_hopeless(response: httpx2.Response, url: str, asked: float | None, last: bool) -> None:
    """Raise HubUnavailable when no further try can help, or none is left."""
    status, path = response.status_code, urlsplit(url).path
    if status in (401, 403):
        reason = f"{path}: the hub asks for access ({status}): accept the terms on its page and set HF_TOKEN"
        raise HubUnavailable(reason, retry_after=3600.0, permanent=True)
    if status in (404, 410, 416):
        raise HubUnavailable(
            f"{path}: there is no such thing on the hub ({status})", retry_after=3600.0, permanent=True
        )
    if last or (status != 429 and status < 500):
        raise HubUnavailable(f"{path}: the hub answered {status}", retry_after=asked or 60.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by RFC 9110 Retry-After (seconds or a date), or by the hub's RateLimit header when used up."""
    text = headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    if text:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    match = _RATE_LIMIT.search(headers.get("ratelimit", ""))
    return float(match[2]) if match and match[1] == "0" else None


def hash_is_right(path: Path, file: HubFile) -> bool:
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as data:
        while chunk := data.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest() == (file.sha256 or file.sha1)
