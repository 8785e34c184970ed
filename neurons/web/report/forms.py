"""Forms of a browser: one file, or a few short fields. Every step has its bounds in bytes and seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from neurons.verdicts.form import FIELD, OVERHEAD, file_in, is_form
from subnet.errors import SubnetError

BODY_SECONDS: Final = 60.0


class NotTaken(SubnetError):
    """What a form is not taken for: the status of HTTP, after how many seconds to try again (None: never), and whether
    its body is `unread`."""

    def __init__(self, status: int, text: str, retry_after: int | None = None, *, unread: bool = False) -> None:
        super().__init__(text)
        self.status, self.retry_after, self.unread = status, retry_after, unread


def check_origin(request: Request) -> None:
    """Raises NotTaken for a form that a page of elsewhere sent, by what browsers say of that (Fetch, section 3.1)."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    host = request.headers.get("host", "")
    own = origin in {None, f"http://{host}", f"https://{host}"}
    if site != "same-origin" and not (site is None and own):
        raise NotTaken(403, "The form must be sent from the page itself, not from another site.", unread=True)


async def body_of(
    request: Request, most: int, too_long: str, took: Callable[[int], None] = lambda count: None
) -> bytes:
    """The whole body, of at most a file of `most` bytes. Raises NotTaken, of a larger one with the text `too_long`.

    `took` hears how many bytes came, as they come, and may raise NotTaken.
    """
    said = request.headers.get("content-length", "")
    if not said.isdecimal():
        raise NotTaken(411, "The length of the body must be said.", unread=True)
    if int(said) > most + OVERHEAD:
        raise NotTaken(413, too_long, unread=True)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                took(len(chunk))
                body += chunk
    except TimeoutError:
        raise NotTaken(408, f"The upload took more than {BODY_SECONDS:g} seconds.", unread=True) from None
    except ClientDisconnect as error:
        raise NotTaken(400, "The body ended early.") from error
    return bytes(body)


def sent_in(content_type: str, body: bytes, most: int) -> tuple[str, bytes]:
    """Name and bytes of the one file in a form. Raises NotTaken. For threads, as `file_in` is."""
    if not is_form(content_type):
        raise NotTaken(415, f"Send the file as the field {FIELD!r} of multipart/form-data.")
    try:
        name, data = file_in(content_type, body)
    except ValueError as error:
        raise NotTaken(400, f"The form cannot be read: {error}.") from error
    if len(data) > most:
        raise NotTaken(413, too_large(most))
    if not data:
        raise NotTaken(422, "The file is empty (0 bytes), or none was chosen.")
    return name, data


def fields_in(body: bytes) -> dict[str, str]:
    """Fields of a form without files, each once. Raises NotTaken."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=8)
    except ValueError as error:
        raise NotTaken(400, "The form cannot be read.") from error
    return dict(pairs)


def too_large(most: int) -> str:
    """In words."""
    return f"A file may have {most / 2**20:g} MiB here; give a smaller copy or a cut of it."
