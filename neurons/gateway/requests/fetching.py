"""A file at an address that a client gives: off unless the operator names schemes, since it has this machine call out.

A name is resolved once, every address that it has must be a public one, and exactly these are called: a name that
resolves to another place the next time (DNS rebinding) leads nowhere. No redirects, no proxy, no cookies, no
compression, ports 80 and 443. A name without an address and one that is not public are refused in the same words.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from neurons.gateway.requests.names import Names, TooManyNames
from neurons.gateway.requests.problems import Kind, Refusal
from subnet.types import Endpoint
from subnet.wire.dendrite import bounded_connector
from subnet.wire.endpoints import refusal

JSON_TYPE: Final = "application/json"
NAME: Final = "url"  # of the one member of the body
MOST_CHARACTERS: Final = 2048
SECONDS: Final = 20.0  # for all of it
_PORTS: Final = (80, 443)
_HEADERS: Final = {"Accept": "image/*, video/*", "Accept-Encoding": "identity", "User-Agent": "assay-gateway"}
_NOT_PUBLIC: Final = "the address cannot be found, or is not a public one"


class _Pinned(AbstractResolver):
    """Knows one name."""

    def __init__(self, found: Sequence[ResolveResult]) -> None:
        self._found = list(found)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return self._found

    async def close(self) -> None: ...


class Fetching:
    """Fetches files of at most `most` bytes from addresses of `schemes`; `local` also from this machine, for tests."""

    def __init__(self, schemes: Sequence[str], most: int, *, local: bool = False, seconds: float = SECONDS) -> None:
        self.schemes, self._most, self._local, self._seconds = tuple(schemes), most, local, seconds
        self._names = Names()

    async def fetch(self, text: str) -> bytes:
        """The file at `text`. Raises Refusal."""
        url = self._checked(text)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._get(url, await self._resolved(url))
        except TimeoutError:
            raise Refusal(Kind.ADDRESS, f"the address did not give its file within {self._seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Refusal(Kind.ADDRESS, f"the address does not answer as it should: {type(error).__name__}") from error

    def _checked(self, text: str) -> URL:
        try:
            url = URL(text)
            port = url.port
        except ValueError as error:
            raise Refusal(Kind.ADDRESS, "this is no address") from error
        if len(text) > MOST_CHARACTERS or not text.isprintable() or " " in text:
            raise Refusal(Kind.ADDRESS, f"an address has at most {MOST_CHARACTERS} characters, all of them printable")
        if url.scheme not in self.schemes:
            raise Refusal(Kind.ADDRESS, f"addresses here begin with {' or '.join(f'{s}://' for s in self.schemes)}")
        if not url.raw_host or url.user is not None or url.password is not None:
            raise Refusal(Kind.ADDRESS, "the address must name a host, and neither a user nor a password")
        if port not in _PORTS and not self._local:
            raise Refusal(Kind.ADDRESS, f"the port must be {' or '.join(map(str, _PORTS))}")
        return url

    async def _resolved(self, url: URL) -> list[ResolveResult]:
        """All addresses of the host. Raises Refusal where one is not public."""
        host, port = url.raw_host or "", url.port or 0
        try:
            found = await self._names.resolve(host, port)
        except TooManyNames as error:
            raise Refusal(Kind.BUSY, f"{error}; send it again later", 5.0) from error
        except OSError as error:
            raise Refusal(Kind.ADDRESS, _NOT_PUBLIC) from error
        if not found or any(refusal(Endpoint(each["host"], port), local=self._local) for each in found):
            raise Refusal(Kind.ADDRESS, _NOT_PUBLIC)
        return found

    async def _get(self, url: URL, found: Sequence[ResolveResult]) -> bytes:
        connector = bounded_connector(resolver=_Pinned(found), use_dns_cache=False, force_close=True)
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers=_HEADERS,
                trust_env=False,
            ) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                leads = "redirects, give the one that it leads to" if 300 <= response.status < 400 else "has no file"
                raise Refusal(Kind.ADDRESS, f"the address {leads} (status {response.status})")
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise Refusal(Kind.ADDRESS, "the address gives its file compressed, though that was not asked for")
            return await self._read(response)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        data, size = bytearray(), response.content_length or 0
        while size <= self._most:
            chunk = await response.content.readany()
            if not chunk:
                return bytes(data)
            data += chunk
            size = max(size, len(data))
        raise Refusal(Kind.TOO_LARGE, f"the file at the address has more than {self._most / 2**20:g} MiB")


def address_in(body: bytes) -> str:
    """The address in {"url": "..."}. Raises Refusal."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(Kind.BAD_REQUEST, "the body is no JSON") from error
    if not isinstance(told, dict) or told.keys() != {NAME} or not isinstance(told[NAME], str):
        raise Refusal(Kind.BAD_REQUEST, f'the body must be {{"{NAME}": "https://..."}}')
    return told[NAME]
