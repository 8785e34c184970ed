"""The Hugging Face hub over plain HTTP: list a data set, fetch a file or a range of one, politely.

Retry-After and rate-limit headers are obeyed, a broken transfer is taken up where it broke, a file is visible only when
its hash is right. Waiting goes through `wait`, so that a caller can break it off. Protocol: the hub's public API
(`/api/datasets/NAME/revision/REV`, `/api/datasets/NAME/tree/REV`, `/datasets/NAME/resolve/REV/PATH`).
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2

from subnet.errors import SourceEmpty
from subnet.media.hub.access import ENDPOINT

GAIN = 1 << 16  # bytes that make a broken transfer worth another try
_LOGIN = "`hf auth login`, or HF_TOKEN"
# By the X-Error-Code that the hub sends, else by status: it says 401 of what is not there, too, so as to tell nothing.
_ADVICE = {
    "RepoNotFound": f"there is no such data set, or it is private: check its name; for a private one {_LOGIN}",
    "GatedRepo": f"this set is gated: accept the terms on its page, then {_LOGIN}",
    "RevisionNotFound": "the data set has no such revision",
    "EntryNotFound": "the data set has no such file any more",
    "DisabledRepo": "the hub has disabled this data set",
    "401": f"the hub knows no such data set, or wants to know who asks: check the name, then {_LOGIN}",
    "403": f"this token has no access: accept the terms on the page of the set, then {_LOGIN}",
    "404": "there is no such thing on the hub: check the name",
    "410": "it is gone from the hub",
    "416": "the file is shorter than it was listed",
}
_RATE_LIMIT = re.compile(r"r=(\d+).*?t=(\d+)")


class HubUnavailable(SourceEmpty):
    """The hub gave nothing. `retry_after` seconds from now it may."""

    def __init__(self, message: str, *, retry_after: float = 60.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


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


@dataclass(frozen=True)
class Patience:
    """When to give up: tries per request, the longest single wait, silence, and the least bytes in `window` seconds."""

    tries: int = 5
    longest_wait: float = 60.0
    first_wait: float = 1.0
    timeout: float = 30.0
    least_bytes: int = 200_000
    window: float = 20.0


class Hub:
    """A client for one endpoint. `token` goes to that endpoint only, never along with a redirect to another host."""

    def __init__(
        self,
        endpoint: str = ENDPOINT,
        token: str | None = None,
        *,
        patience: Patience = Patience(),
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint, self.patience = endpoint.rstrip("/"), patience
        self._wait, self._clock = wait, clock
        headers = {"user-agent": "assay-subnet"} | ({"authorization": f"Bearer {token}"} if token else {})
        self._client = httpx2.Client(headers=headers, timeout=patience.timeout, follow_redirects=True)

    def close(self) -> None:
        self._client.close()

    def listing(self, repository: str, revision: str = "main") -> Listing:
        """All files of a data set at the commit that `revision` names now. Raises HubUnavailable."""
        base = f"{self.endpoint}/api/datasets/{quote(repository)}"
        commit = str(self._json(f"{base}/revision/{quote(revision, safe='')}")[0]["sha"])
        url: str | None = f"{base}/tree/{commit}?recursive=true"
        files: list[HubFile] = []
        while url:
            entries, url = self._json(url)
            files += [hub_file(entry) for entry in entries if entry.get("type") == "file"]
        return Listing(repository, commit, tuple(files))

    def url(self, listing: Listing, file: HubFile) -> str:
        return f"{self.endpoint}/datasets/{quote(listing.repository)}/resolve/{listing.commit}/{quote(file.path)}"

    def read(self, listing: Listing, file: HubFile, start: int, length: int) -> bytes:
        """`length` bytes from `start` of a file that is not fetched as a whole. Raises HubUnavailable."""
        length = min(length, file.size - start)
        if length <= 0:
            return b""
        wanted = {"range": f"bytes={start}-{start + length - 1}"}
        for _ in range(self.patience.tries):
            with self._get(self.url(listing, file), wanted) as response:
                if response.status_code != 206:
                    raise HubUnavailable(f"{file.path}: the hub does not serve ranges")
                try:
                    data = b"".join(self._body(response, length))
                except httpx2.HTTPError:
                    continue
            if len(data) == length:
                return data
        raise HubUnavailable(f"{file.path}: the transfer broke {self.patience.tries} times")

    def download(self, listing: Listing, file: HubFile, target: Path) -> Path:
        """Fetch a file to `target`, which appears only when it is whole and its hash is right.

        What was fetched before a break is kept beside it and taken up. A wrong hash is fetched once more from the
        start. Raises HubUnavailable; OSError when the disk refuses.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{(file.sha256 or file.sha1)[:16]}.part")
        for _ in range(2):
            self._fetch(listing, file, part)
            if hash_is_right(part, file):
                part.replace(target)
                return target
            part.unlink()
        raise HubUnavailable(f"{file.path} came twice with a wrong hash", retry_after=600.0)

    def _fetch(self, listing: Listing, file: HubFile, part: Path) -> None:
        """Append to `part` until it has all bytes; give up after `tries` transfers that brought nothing new."""
        idle = 0
        while True:
            have = part.stat().st_size if part.exists() else 0
            if have > file.size:
                part.unlink()
                have = 0
            if have == file.size and part.exists():
                return
            if idle >= self.patience.tries:
                raise HubUnavailable(f"{file.path}: the transfer broke {idle} times at {have:,} of {file.size:,} bytes")
            with self._get(self.url(listing, file), {"range": f"bytes={have}-"} if have else {}) as response:
                resumes = response.status_code == 206
                gained = self._append(response, part, "ab" if resumes else "wb", file.size - have * resumes)
            idle = 0 if gained >= min(GAIN, file.size - have) else idle + 1
            if idle:
                self._pause(idle, None)

    def _append(self, response: httpx2.Response, part: Path, mode: str, limit: int) -> int:
        """Write what comes, at most `limit` bytes; a cut or silent transfer ends it without an error."""
        gained = 0
        with part.open(mode) as out:
            try:
                for chunk in self._body(response, limit):
                    gained += out.write(chunk)
            except httpx2.HTTPError:
                pass  # what came is kept
            out.flush()
            os.fsync(out.fileno())
        return gained

    def _body(self, response: httpx2.Response, limit: int) -> Iterator[bytes]:
        """The body by chunks, at most `limit` bytes; ReadTimeout when it is slower than patience allows."""
        total, since, mark = 0, self._clock(), 0
        for chunk in response.iter_raw():
            total += len(chunk)
            yield chunk[: len(chunk) - max(0, total - limit)]
            if total >= limit:
                return
            if self._clock() - since > self.patience.window:
                if total - mark < self.patience.least_bytes:
                    raise httpx2.ReadTimeout("too slow")
                since, mark = self._clock(), total

    def _json(self, url: str) -> tuple[Any, str | None]:
        with self._get(url, {}) as response:
            try:
                response.read()
                answer = response.json()
            except (httpx2.HTTPError, ValueError) as error:
                raise HubUnavailable(f"{url} answered no JSON: {error}") from error
            following = response.links.get("next", {}).get("url")
        return answer, following if following and urlsplit(following).netloc == urlsplit(url).netloc else None

    @contextmanager
    def _get(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
        """A streamed response of 2xx, after as many polite tries as patience allows."""
        for attempt in range(1, self.patience.tries + 1):
            last = attempt == self.patience.tries
            try:
                request = self._client.build_request("GET", url, headers={**headers, "accept-encoding": "identity"})
                response = self._client.send(request, stream=True)
            except httpx2.HTTPError as error:
                if last:
                    raise HubUnavailable(
                        f"{self.endpoint} cannot be reached: {error or type(error).__name__}"
                    ) from error
                self._pause(attempt, None)
                continue
            try:
                if response.is_success:
                    yield response
                    return
                asked = retry_after(response.headers)
                raise_if_hopeless(response, url, asked, last or (asked or 0) > self.patience.longest_wait)
            finally:
                response.close()
            self._pause(attempt, asked)

    def _pause(self, attempt: int, asked: float | None) -> None:
        backoff = min(self.patience.longest_wait, self.patience.first_wait * 2.0 ** (attempt - 1))
        self._wait(backoff if asked is None else asked)


class RangeFile(io.RawIOBase):
    """A file on the hub to read at random, fetching only what is read. Wrap it in BufferedReader for small reads."""

    def __init__(self, hub: Hub, listing: Listing, file: HubFile) -> None:
        self._hub, self._listing, self._file, self._at = hub, listing, file, 0
        self.fetched = 0  # bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence])
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._hub.read(self._listing, self._file, self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        self.fetched += len(data)
        return len(data)


def hub_file(entry: Mapping[str, object]) -> HubFile:
    lfs = entry.get("lfs")
    large: Mapping[str, object] = lfs if isinstance(lfs, dict) else {}
    sha256 = large.get("oid")
    size = large.get("size", entry["size"])
    return HubFile(str(entry["path"]), int(str(size)), str(sha256) if sha256 else None, str(entry.get("oid", "")))


def raise_if_hopeless(response: httpx2.Response, url: str, asked: float | None, last: bool) -> None:
    """Raise HubUnavailable when no further try can help, or none is left."""
    status, path = response.status_code, urlsplit(url).path
    cause = response.headers.get("x-error-code", "")
    if status in (401, 403, 404, 410, 416):
        advice = _ADVICE.get(cause) or _ADVICE[str(status)]
        raise HubUnavailable(f"{path}: {advice} ({cause or status})", retry_after=3600.0)
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
