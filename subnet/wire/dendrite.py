"""The validator's client: many signed requests under one deadline, one typed reply for each.

Every endpoint and every byte that comes back is hostile. Nothing a miner does raises here, slows another miner's
reply, or makes us call another address: no names, no redirects, no cookies, no decompression, 64 kB at most.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import io
import json
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from subnet.errors import SettingsError
from subnet.protocols import Transport
from subnet.types import Endpoint, Failure, Neuron, Prediction, Query, Reply
from subnet.wire.endpoints import refusal
from subnet.wire.nonce_source import Nonces
from subnet.wire.synapse import MAX_REPLY_BYTES, SYNAPSES, Envelope, Signer, read_answer, signed_headers

MOST_AT_ONCE: Final = 256  # connections; as many as a subnet has neurons
KEEP_ALIVE_SECONDS: Final = 15.0  # less than an axon keeps a connection
FRESH_SECONDS: Final = 1e-3  # for which one is kept that nobody is to use again
RETRY_SECONDS: Final = 0.1  # before the second try of an exchange that broke
MAX_INTERIM: Final = 8  # responses of status 1xx before the real one; none is asked for
MAX_HEAD: Final = 64 * 1024  # bytes of the response's head and of all interim ones
_SLICE: Final = 4096  # bytes parsed at a time, so that a bound is felt at once
_BIG_BODY: Final = 2**20  # aiohttp wants larger bodies as a stream
_OUR_FAULT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _Unusable(Exception):
    """What a miner sent back cannot become an answer: carries the failure, the status if there was one, the reason."""

    def __init__(self, failure: Failure, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.failure, self.reason, self.status = failure, reason, status


class _Response(ResponseHandler):
    """One connection: few interim responses before the real one, and few bytes up to its body.

    aiohttp passes over responses of status 1xx without counting and without letting anybody else run, so a server that
    sends nothing else would hold up all others. The body has bounds of its own (`_read`).
    """

    _in_head = True
    _head = _interim = 0

    def set_response_params(self, **params: Any) -> None:
        """A request begins: count anew."""
        self._in_head, self._head, self._interim = True, 0, 0
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Parse in slices, and stop where there is too much."""
        for start in range(0, len(data), _SLICE):
            part = data[start : start + _SLICE]
            self._head += len(part) if self._in_head else 0
            if self._head > MAX_HEAD:
                self._give_up()
            if self.transport is None or self.transport.is_closing():
                return
            super().data_received(part)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take a parsed head."""
        self._in_head = 100 <= data[0].code < 200
        self._interim += self._in_head
        if self._interim > MAX_INTERIM:
            self._give_up()
        else:
            super().feed_data(data, size)

    def _give_up(self) -> None:
        self.set_exception(HttpProcessingError(message="too long a head, or too many interim responses"))
        if self.transport is not None:
            self.transport.abort()


def bounded_connector(**options: Any) -> aiohttp.TCPConnector:
    """Connections to servers that nobody trusts, with aiohttp's `options`. Needs a running event loop."""
    connector = aiohttp.TCPConnector(limit=0, **options)
    connector._factory = functools.partial(_Response, loop=asyncio.get_running_loop())  # type: ignore[assignment]
    return connector


class Dendrite(Transport):
    """One aiohttp session. Use as `async with Dendrite(keypair) as dendrite`, or `close()` it.

    `local` allows private and loopback addresses. `concurrency` bounds the open connections: more asks than that go
    out in groups one after another, each with its share of the deadline, so that slow miners cannot use up the
    others' time. `fresh` has each request go out on a connection of its own.
    """

    def __init__(
        self,
        keypair: Signer,
        *,
        local: bool = False,
        concurrency: int = MOST_AT_ONCE,
        fresh: bool = False,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        if concurrency < 1:
            raise SettingsError(f"concurrency must be at least 1, not {concurrency}")
        self._keypair, self._local, self._concurrency, self._fresh = keypair, local, concurrency, fresh
        self._nonces = Nonces(now_ns)
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
        groups = [asks[i : i + self._concurrency] for i in range(0, len(asks), self._concurrency)]
        replies: list[Reply] = []
        for index, group in enumerate(groups):
            left = max(0.0, ends - time.monotonic()) / (len(groups) - index)
            replies += await self._fan_out(group, left)
        return replies

    async def _fan_out(self, asks: Sequence[tuple[Neuron, Query]], seconds: float) -> list[Reply]:
        """Send everything at once; what is not back in time is a TIMEOUT."""
        start = time.perf_counter()
        tasks = [asyncio.create_task(self._ask_one(neuron, query)) for neuron, query in asks]
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        late = Reply(Failure.TIMEOUT, time.perf_counter() - start, reason=f"no complete reply in {seconds:.1f} s")
        return [late if task.cancelled() else task.result() for task in tasks]

    async def _ask_one(self, neuron: Neuron, query: Query) -> Reply:
        """One exchange, tried again once on a new connection where the first broke or was refused.

        A connection may be closed by the miner just as it is used again, or broken by a rival of the miner's; without
        the second try either would be scored as the miner's failure. Each try has a nonce of its own.
        """
        endpoint = neuron.endpoint
        why_not = refusal(endpoint, local=self._local)
        if endpoint is None or why_not:
            return Reply(Failure.NO_ENDPOINT, 0.0, reason=why_not)
        start = time.perf_counter()
        try:
            try:
                return await self._exchange(endpoint, neuron.hotkey, query, start)
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError) as error:
                if _is_ours(error):
                    raise
                await asyncio.sleep(RETRY_SECONDS)
                return await self._exchange(endpoint, neuron.hotkey, query, start)
        except _Unusable as error:
            return Reply(error.failure, time.perf_counter() - start, status=error.status, reason=error.reason)
        except (aiohttp.ClientResponseError, HttpProcessingError, ValueError) as error:
            return Reply(Failure.MALFORMED, time.perf_counter() - start, reason=f"not HTTP: {type(error).__name__}")
        except (aiohttp.ClientError, OSError) as error:
            if _is_ours(error):
                raise SettingsError(f"no room for another connection ({error}): raise `ulimit -n`") from error
            return Reply(Failure.UNREACHABLE, time.perf_counter() - start, reason=type(error).__name__)

    async def _exchange(self, endpoint: Endpoint, hotkey: str, query: Query, start: float) -> Reply:
        """Sign, post, read, judge. The latency ends with the last byte of the reply."""
        target = SYNAPSES[query.modality].path
        if query.parameters:
            target += "?" + urlencode(query.parameters)
        envelope = Envelope(self._nonces.next(), query.digest, self._keypair.ss58_address, hotkey)
        headers = signed_headers(self._keypair, envelope, "POST", target)
        headers["Content-Type"] = query.content_type
        url = URL(endpoint.url + target, encoded=True)
        data = query.body if len(query.body) <= _BIG_BODY else io.BytesIO(query.body)
        async with self._open().post(url, data=data, headers=headers, allow_redirects=False) as response:
            status, body = response.status, await _read(response)
        latency = time.perf_counter() - start
        if status != 200:
            raise _Unusable(_failure_of(status), _detail(status, body), status)
        verdict = read_answer(body, envelope)
        if verdict.body is None:
            return Reply(verdict.answer, latency, status=status, reason=verdict.reason)
        said, signed = verdict.body, isinstance(verdict.answer, Prediction)
        return Reply(
            verdict.answer,
            latency,
            said.detector,
            said.weights_hash or None,
            status,
            verdict.reason,
            nonce=envelope.nonce if signed else None,
            signature=said.signature if signed else "",
        )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            keep = FRESH_SECONDS if self._fresh else KEEP_ALIVE_SECONDS
            self._session = aiohttp.ClientSession(
                connector=bounded_connector(keepalive_timeout=keep),  # force_close would show in a header
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
                headers={"Accept-Encoding": "identity"},
                trust_env=False,
            )
        return self._session


def _is_ours(error: Exception) -> bool:
    """Whether this machine had no room for a connection."""
    return isinstance(error, OSError) and error.errno in _OUR_FAULT


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The reply's body. Raises _Unusable for more bytes than a reply may have, or compressed ones, unread."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        response.close()
        raise _Unusable(Failure.MALFORMED, "the reply is compressed", response.status)
    body = bytearray()
    size = response.content_length or 0
    while size <= MAX_REPLY_BYTES:
        chunk = await response.content.readany()
        if not chunk:
            return bytes(body)
        body += chunk
        size = len(body)
    response.close()
    raise _Unusable(Failure.TOO_LARGE, f"more than {MAX_REPLY_BYTES} bytes", response.status)


def _failure_of(status: int) -> Failure:
    if 400 <= status < 500:
        return Failure.REFUSED
    return Failure.ERROR if 500 <= status < 600 else Failure.MALFORMED


def _detail(status: int, body: bytes) -> str:
    """What the miner says about its refusal: one printable line of at most 200 characters, for our logs."""
    text = body[:1000].decode("utf-8", "replace")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict) and isinstance(parsed.get("detail"), str):
        text = parsed["detail"]
    line = "".join(c if c.isprintable() else " " for c in text[:200]).strip()
    return f"HTTP {status}: {line}" if line else f"HTTP {status}"
