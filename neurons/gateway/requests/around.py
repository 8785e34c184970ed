"""What is around every request: its id, headers of every response, no key in an address, and refusals that arrive."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, unquote

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neurons.gateway.requests.problems import MEDIA_TYPE, Kind, Problem, Refusal
from neurons.gateway.requests.uploads import BODY_SECONDS
from subnet.wire.http.server import RETRY_AFTER, BoundedProtocol

HEADERS: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
_KEY: Final = re.compile(r"assay_[0-9a-f]{12}_")
_NAMES: Final = frozenset(
    ("key", "apikey", "api_key", "api-key", "x-api-key", "token", "access_token", "authorization", "auth", "bearer")
)
_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Around:
    """What is around the whole application, its answers to its own mistakes included, without a look at bodies.

    `count` hears of every answer: its route's path, status, and seconds. All that is logged of a request has its
    `request_id`.
    """

    def __init__(self, app: ASGIApp, count: Callable[[str, int, float], None]) -> None:
        self._app, self._count = app, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named = _named(scope["headers"])
        scope.setdefault("state", {})["request_id"] = named
        structlog.contextvars.bind_contextvars(request_id=named)
        start = time.perf_counter()

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update({**HEADERS, "x-request-id": named})
                path = getattr(scope.get("route"), "path", "")
                self._count(path, message["status"], time.perf_counter() - start)
            await send(message)

        app: ASGIApp = _key_in_address(named) if has_key(scope) else self._app
        await app(scope, receive, marked)


class PatientProtocol(BoundedProtocol):
    """A connection whose uploads may take as long as a body may, and a second for the answer 408; what is no HTTP is
    told as every problem is."""

    message_seconds: ClassVar[float] = BODY_SECONDS + 1

    def refusal(self, status: int, reason: str) -> tuple[dict[str, str], str]:
        kinds = (Kind.BAD_REQUEST, Kind.TOO_SLOW, Kind.HEAD, Kind.CODING, Kind.NOT_READY)
        kind = next(kind for kind in kinds if kind.status == status)
        scope: Any = self.scope  # None before the first request
        named = (scope["state"].get("request_id") if scope else None) or _named(self.headers)
        headers = {**HEADERS, "content-type": MEDIA_TYPE, "x-request-id": named}
        return headers, json.dumps(Problem(kind, reason, RETRY_AFTER if status == 503 else None).fields(named))


def only(request: Request, name: str) -> str | None:
    """The value of a header that may stand there once; None without one. Raises Refusal for several."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise Refusal(
            Kind.BAD_REQUEST, f"the header {name} stands there {len(values)} times; send it once", unread=True
        )
    return values[0] if values else None


def _named(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The id that a client gave its request, or one that is drawn where it gave none, several, or an unfit one."""
    said = [value for name, value in headers if name == b"x-request-id"]
    return said[0].decode() if len(said) == 1 and _ID.fullmatch(said[0]) else secrets.token_hex(8)


def request_id(request: Request) -> str:
    """The id of a request: its client's own, or one that was drawn."""
    return str(request.state.request_id)


def has_key(scope: Scope) -> bool:
    """Whether an address carries a key, or a parameter that is called like one."""
    query = scope["query_string"].decode("latin-1")
    names = {name.lower() for name, _ in parse_qsl(query, keep_blank_values=True, max_num_fields=None)}
    text = f"{scope.get('raw_path', b'').decode('latin-1')}?{query}"
    return bool(names & _NAMES or any(_KEY.search(each) for each in (text, unquote(text), unquote(unquote(text)))))


def _key_in_address(id: str) -> JSONResponse:
    detail = (
        "send the key in the header Authorization: addresses stand in logs and histories. If this was a real key, have "
        "it revoked"
    )
    problem = Problem(Kind.KEY_IN_ADDRESS, detail)
    return JSONResponse(problem.fields(id), problem.kind.status, {"connection": "close"}, MEDIA_TYPE)
