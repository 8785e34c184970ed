"""The validator's client: many signed requests under one deadline, one typed reply for each.

Every endpoint and every byte that comes back is hostile. Nothing a miner does raises here, slows another miner's
reply, or makes us call another address: no names, no redirects, no cookies, no decompression, 64 kB at most.
"""

from __future__ import annotations

import asyncio
import errno
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from subnet.addresses import refusal
from subnet.errors import SettingsError
from subnet.protocols import Transport
from subnet.synapse import MAX_REPLY_BYTES, SYNAPSES, Envelope, Signer, digest_of, judge, signed_headers
from subnet.types import Answer, Failure, Neuron, Query, Reply

_BIG_BODY: Final = 2**20  # aiohttp wants larger bodies as a stream
_OUR_FAULT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True, eq=False)
class _Post:
    """One request, signed and ready."""

    url: URL
    headers: dict[str, str]
    body: bytes
    envelope: Envelope


@dataclass(frozen=True, eq=False)
class _Received:
    """What came back, unjudged. `failure` is set where there is nothing to judge."""

    latency: float
    failure: Failure | None = None
    status: int | None = None
    body: bytes = b""
    reason: str = ""


class Dendrite(Transport):
    """One aiohttp session. Use as `async with Dendrite(keypair) as dendrite`, or `close()` it.

    `local` allows private and loopback addresses. `concurrency` bounds the open connections: more asks than that go
    out in groups one after another, each with its share of the deadline, so that slow miners cannot use up the
    others' time.
    """

    def __init__(
        self,
        keypair: Signer,
        *,
        local: bool = False,
        concurrency: int = 256,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        if concurrency < 1:
            raise SettingsError(f"concurrency must be at least 1, not {concurrency}")
        self._keypair, self._local, self._concurrency, self._now_ns = keypair, local, concurrency, now_ns
        self._nonce = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the session and its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, asks: Sequence[tuple[Neuron, Query]], deadline: float) -> list[Reply]:
        """One reply per ask, in order, all within `deadline` seconds.

        Raises SettingsError when this machine is out of file descriptors: that is not the miners' fault.
        """
        ends = time.monotonic() + deadline
        session = self._open()
        digests: dict[int, str] = {}
        groups = [asks[i : i + self._concurrency] for i in range(0, len(asks), self._concurrency)]
        replies: list[Reply] = []
        for index, group in enumerate(groups):
            left = max(0.0, ends - time.monotonic()) / (len(groups) - index)
            posts = [self._prepare(neuron, query, digests) for neuron, query in group]
            received = await _fan_out(session, posts, left)
            replies += [_reply(post, came) for post, came in zip(posts, received, strict=True)]
        return replies

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # A new connection for every ask: one kept alive may be closed by the miner at the moment of the next
                # ask, and that would be scored as the miner's failure.
                connector=aiohttp.TCPConnector(limit=0, force_close=True, use_dns_cache=False),
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
                headers={"Accept-Encoding": "identity"},
                trust_env=False,
                max_headers=64,
            )
        return self._session

    def _prepare(self, neuron: Neuron, query: Query, digests: dict[int, str]) -> _Post | str:
        """The signed request, or why there is none. Each distinct body object is hashed once."""
        why_not = refusal(neuron.endpoint, local=self._local)
        if why_not or neuron.endpoint is None:
            return why_not
        target = SYNAPSES[query.modality].path
        if query.parameters:
            target += "?" + urlencode(query.parameters)
        digest = digests.get(id(query.body))
        if digest is None:
            digest = digests[id(query.body)] = digest_of(query.body)
        self._nonce = max(self._nonce + 1, self._now_ns())
        envelope = Envelope(self._nonce, digest, self._keypair.ss58_address, neuron.hotkey)
        headers = signed_headers(self._keypair, envelope, "POST", target)
        headers["Content-Type"] = query.content_type
        return _Post(URL(neuron.endpoint.url + target, encoded=True), headers, query.body, envelope)


async def _fan_out(session: aiohttp.ClientSession, posts: Sequence[_Post | str], seconds: float) -> list[_Received]:
    """Send everything at once; what is not back in time is a TIMEOUT. Judging comes later, off the clock."""
    loop = asyncio.get_running_loop()
    tasks = {
        index: loop.create_task(_send(session, post)) for index, post in enumerate(posts) if isinstance(post, _Post)
    }
    start = time.perf_counter()
    if tasks:
        try:
            await asyncio.wait(tasks.values(), timeout=seconds)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
    spent = time.perf_counter() - start
    return [_collect(post, tasks.get(index), spent) for index, post in enumerate(posts)]


def _collect(post: _Post | str, task: asyncio.Task[_Received] | None, spent: float) -> _Received:
    if task is None:
        return _Received(0.0, Failure.NO_ENDPOINT, reason=str(post))
    if task.cancelled():
        return _Received(spent, Failure.TIMEOUT, reason=f"no complete reply in {spent:.1f} s")
    return task.result()


async def _send(session: aiohttp.ClientSession, post: _Post) -> _Received:
    """One exchange. Times are from here to the last byte of the reply."""
    start = time.perf_counter()
    failure, reason = Failure.UNREACHABLE, ""
    status = None
    try:
        data = post.body if len(post.body) <= _BIG_BODY else io.BytesIO(post.body)
        async with session.post(post.url, data=data, headers=post.headers, allow_redirects=False) as response:
            status = response.status
            body = await _read(response)
        if body is None:
            failure, reason = Failure.TOO_LARGE, f"more than {MAX_REPLY_BYTES} bytes"
        else:
            encoding = response.headers.get("Content-Encoding", "identity")
            latency = time.perf_counter() - start
            if encoding.lower() != "identity":
                return _Received(latency, Failure.MALFORMED, status, reason="the reply is compressed")
            return _Received(latency, None, status, body)
    except (aiohttp.ClientResponseError, HttpProcessingError) as error:
        failure, reason = Failure.MALFORMED, f"not HTTP: {type(error).__name__}"
    except (aiohttp.ClientError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _OUR_FAULT:
            raise SettingsError(
                f"this machine has no room for another connection ({error}): raise `ulimit -n`"
            ) from error
        reason = type(error).__name__
    return _Received(time.perf_counter() - start, failure, status, reason=reason)


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """The reply's body, or None when it is larger than a reply may be; then the connection is dropped at once."""
    if (response.content_length or 0) > MAX_REPLY_BYTES:
        response.close()
        return None
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            response.close()
            return None
    return bytes(body)


def _reply(post: _Post | str, came: _Received) -> Reply:
    """Pure: from what came back to a typed reply."""
    if came.failure is not None or came.status is None or isinstance(post, str):
        return Reply(came.failure or Failure.UNREACHABLE, came.latency, status=came.status, reason=came.reason)
    if came.status != 200:
        return Reply(_failure_of(came.status), came.latency, status=came.status, reason=_detail(came))
    verdict = judge(came.body, post.envelope)
    answer: Answer = verdict.answer
    body = verdict.body
    if body is None:
        return Reply(answer, came.latency, status=came.status, reason=verdict.reason)
    return Reply(answer, came.latency, body.detector, body.weights_hash or None, came.status, verdict.reason)


def _failure_of(status: int) -> Failure:
    if 400 <= status < 500:
        return Failure.REFUSED
    return Failure.ERROR if 500 <= status < 600 else Failure.MALFORMED


def _detail(came: _Received) -> str:
    """What the miner says about its refusal: one printable line of at most 200 characters, for our logs."""
    text = came.body[:1000].decode("utf-8", "replace")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict) and isinstance(parsed.get("detail"), str):
        text = parsed["detail"]
    line = "".join(c if c.isprintable() else " " for c in text[:200]).strip()
    return f"HTTP {came.status}: {line}" if line else f"HTTP {came.status}"
