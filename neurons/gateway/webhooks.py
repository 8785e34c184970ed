"""Signed messages to addresses that the operator gave with a key: a job is done, here is its answer.

Headers and signature are those of Standard Webhooks (standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`, so
that any of its libraries checks them. The secret of a key is shown once, beside the key.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Final

import aiohttp

from neurons.gateway.requests.names import Names
from neurons.gateway.store.keys import Key
from neurons.log import Log
from subnet.printing import without_credentials

PAUSES: Final = (1.0, 10.0, 60.0)  # seconds before each further try
TIMEOUT: Final = 10.0  # seconds of one try
MOST: Final = 256  # messages under way; what comes beyond is dropped, and can be fetched all the same
TOLERANCE: Final = 300.0  # seconds by which a message's time may be off
PREFIX: Final = "whsec_"


def secret_of(seed: int, key_id: str) -> bytes:
    """What messages for a key are signed with, made from the secret of this gateway."""
    return hmac.digest(str(seed).encode(), f"webhook {key_id}".encode(), hashlib.sha256)


def told_secret(secret: bytes) -> str:
    """The secret as its owner gets it."""
    return PREFIX + base64.b64encode(secret).decode()


def signature(secret: bytes, id: str, timestamp: int, body: str) -> str:
    """The value of the header webhook-signature."""
    mac = hmac.digest(secret, f"{id}.{timestamp}.{body}".encode(), hashlib.sha256)
    return "v1," + base64.b64encode(mac).decode()


def verify(told: str, headers: Mapping[str, str], body: str, now: float) -> bool:
    """Whether a message is the gateway's and not older than `TOLERANCE`, by the secret `told` beside the key."""
    small = {name.lower(): value for name, value in headers.items()}
    named, sent = small.get("webhook-id", ""), small.get("webhook-timestamp", "")
    if not sent.isdecimal() or len(sent) > 12 or abs(now - int(sent)) > TOLERANCE:
        return False
    wanted = signature(base64.b64decode(told.removeprefix(PREFIX)), named, int(sent), body).encode()
    said = small.get("webhook-signature", "").encode(errors="replace")
    return any(hmac.compare_digest(wanted, each) for each in said.split())


class Webhooks:
    """Sends messages in the background, each a few times; none delays anything else. `seed` is the gateway's secret."""

    def __init__(
        self, seed: int, log: Log, pauses: tuple[float, ...] = PAUSES, now: Callable[[], float] = time.time
    ) -> None:
        self._seed, self._log, self._pauses, self._now = seed, log, pauses, now
        self._under_way: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def tell(self, key: Key, id: str, body: str) -> None:
        """Send `body` (JSON) to the address of `key`, in the background."""
        if len(self._under_way) >= MOST:
            self._log.warning("a webhook was dropped: too many are under way", key=key.name, job=id)
            return
        task = asyncio.create_task(self._deliver(key, id, body))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _deliver(self, key: Key, id: str, body: str) -> None:
        reason = ""
        for wait in (0.0, *self._pauses):
            await asyncio.sleep(wait)
            if not (reason := await self._post(key, id, body)):
                return
        self._log.warning("a webhook was not taken", key=key.name, job=id, reason=without_credentials(reason))

    async def _post(self, key: Key, id: str, body: str) -> str:
        """Why one try came to nothing, or ""."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=Names()),
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        stamp = int(self._now())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signature(secret_of(self._seed, key.id), id, stamp, body),
        }
        try:
            async with self._session.post(
                key.webhook, data=body.encode(), headers=headers, allow_redirects=False
            ) as response:
                return "" if 200 <= response.status < 300 else f"status {response.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return type(error).__name__

    async def close(self) -> None:
        """Give up what is under way."""
        for task in (tasks := list(self._under_way)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
