"""The one file in a form (multipart/form-data, RFC 7578), as browsers and clients of the gateway send it."""

from __future__ import annotations

import asyncio
import warnings
from typing import Final

from aiohttp import BadContentDispositionHeader, BadContentDispositionParam, MultipartReader, StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy

FIELD: Final = "file"
OVERHEAD: Final = 16 * 1024  # bytes of a body that are not the file

for _kind in (BadContentDispositionHeader, BadContentDispositionParam):
    warnings.simplefilter("ignore", _kind)  # they have the names of clients' files, and would reach the log


def is_form(content_type: str) -> bool:
    """Whether a body of this type can hold a file."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def file_in(content_type: str, body: bytes) -> tuple[str, bytes]:
    """Name ("" where none is said) and bytes of the one file in a body, whose size was bounded before.

    Raises ValueError that says why there is none. For threads: it has an event loop of its own.
    """
    try:
        return asyncio.run(_file_in(content_type, body))
    except (ValueError, RuntimeError, HttpProcessingError) as error:
        raise ValueError(" ".join(str(error).split())[:100] or type(error).__name__) from error


async def _file_in(content_type: str, body: bytes) -> tuple[str, bytes]:
    loop = asyncio.get_running_loop()
    stream = StreamReader(BaseProtocol(loop), max(2**16, len(body)), loop=loop)  # nobody is there to be paused
    stream.feed_data(body)
    stream.feed_eof()
    found: tuple[str, bytes] | None = None
    reader = MultipartReader(CIMultiDictProxy(CIMultiDict({"Content-Type": content_type})), stream)
    while (part := await reader.next()) is not None:
        if isinstance(part, MultipartReader):
            raise ValueError("a form within a form is not taken")
        if part.name != FIELD:
            raise ValueError(f"the field {str(part.name)[:40]!r} is not known; {FIELD!r} is the only one")
        if found is not None:
            raise ValueError(f"the field {FIELD!r} stands there twice; send one file at a time")
        found = part.filename or "", bytes(await part.read(decode=False))
    if found is None:
        raise ValueError(f"the field {FIELD!r} is missing")
    return found
