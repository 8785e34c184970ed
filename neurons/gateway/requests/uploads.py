"""From a request's body to media of a stranger: every step has its bounds in bytes, pixels, and seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from aiohttp import MultipartReader, StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy
from starlette.requests import Request
from starlette.types import Receive

from neurons.gateway.requests.problems import Kind, Refusal
from neurons.verdicts.kinds import START, Formats, modality, told
from subnet.codec.image import ImageLimits, decode_image
from subnet.codec.sandbox import VideoDecoder
from subnet.codec.video import Clip, Limits
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.media.cutting import CONTAINERS, FRAMES, check_size
from subnet.types import Media, Modality

BODY_SECONDS: Final = 60.0
FIELD: Final = "file"
FORMATS: Final = Formats(("JPEG", "PNG", "WebP"))
RUNS: Final = 2  # places of a clip that frames are taken from; as many frames as of a clip for challenges
CLIPS: Final = Limits(
    frame_pixels=4096 * 2304,
    frames=RUNS * FRAMES,
    pixels=RUNS * FRAMES * 1920 * 1088,
    runs=RUNS,
    shown_pixels=1920 * 1088,
    seconds=30,
    containers=CONTAINERS,
)
IMAGES: Final = ImageLimits(pixels=24_000_000, jpeg_pixels=50_000_000)  # 0.3 GB at most while one is decoded
_OVERHEAD: Final = 16 * 1024  # bytes of a body that are not the file


@dataclass(frozen=True)
class Upload:
    """One file as it came, and what its first bytes say it is."""

    data: bytes
    modality: Modality


def decoder(children: int) -> VideoDecoder:
    """Decodes clips of strangers in processes that may be killed: 45 seconds and 1.5 GB of addresses each."""
    return VideoDecoder(CLIPS, timeout=45.0, children=children, memory=3 * 2**29)


def size_of(request: Request, most: int) -> int:
    """Bytes of the body that is to come, `most` and what is around the file where none are said. Raises Refusal."""
    said = request.headers.get("content-length")
    if said is None:
        return most + _OVERHEAD
    if not said.isdecimal():
        raise Refusal(Kind.BAD_REQUEST, "Content-Length is no number", unread=True)
    if int(said) > most + _OVERHEAD:
        raise Refusal(Kind.TOO_LARGE, _too_large(most), unread=True)
    return int(said)


async def read_body(receive: Receive, most: int) -> bytes:
    """The whole body, counted as it comes. Raises Refusal for more than a file of `most` bytes, and a late one."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refusal(Kind.BAD_REQUEST, "the body ended early")
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > most + _OVERHEAD:
                    raise Refusal(Kind.TOO_LARGE, _too_large(most), unread=more)
    except TimeoutError:
        raise Refusal(Kind.TOO_SLOW, f"the upload took more than {BODY_SECONDS:g} s", unread=True) from None
    return bytes(body)


def upload_of(content_type: str, body: bytes, most: int) -> Upload:
    """The one file in a form. Raises Refusal. Runs in a thread: it has an event loop of its own."""
    if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
        raise Refusal(Kind.NOT_MULTIPART, f"send the file as the field {FIELD!r} of multipart/form-data")
    try:
        data = asyncio.run(_file_in(content_type, body))
    except (ValueError, RuntimeError, HttpProcessingError) as error:
        why = " ".join(str(error).split())[:100] or type(error).__name__
        raise Refusal(Kind.BAD_REQUEST, f"the form cannot be read: {why}") from error
    if len(data) > most:
        raise Refusal(Kind.TOO_LARGE, _too_large(most))
    return recognised(data)


def recognised(data: bytes) -> Upload:
    """A file as what its first bytes say it is. Raises Refusal."""
    try:
        return Upload(data, modality(data[:START], "", FORMATS))
    except MediaError as error:
        raise Refusal(Kind.UNREADABLE, str(error)) from error


def decoded(upload: Upload, clips: VideoDecoder) -> tuple[Media, ...]:
    """What miners can be asked about: a picture, or runs of 16 successive frames of a clip. Raises Refusal.

    Takes seconds; for threads. A picture is held at 24 megapixels (50 for JPEG), a clip at 4096 x 2304 pixels.
    """
    try:
        if upload.modality is Modality.IMAGE:
            media: tuple[Media, ...] = (decode_image(upload.data, IMAGES),)
        else:
            media = _runs(clips.read(upload.data))
        check_size(media[0])
    except MediaError as error:
        kind = Kind.TOO_LARGE if isinstance(error, MediaTooLarge) else Kind.UNREADABLE
        raise Refusal(kind, str(told(error, upload.modality))) from error
    return media


def _runs(clip: Clip) -> tuple[Media, ...]:
    """Frames of the clip by runs of FRAMES that follow each other. Raises MediaUnreadable for a clip without one."""
    media, times = clip.media, clip.times
    assert media.fps is not None
    gap, start, runs = 3 / media.fps, 0, list[Media]()
    for at in range(1, len(times) + 1):
        if at == len(times) or times[at] - times[at - 1] > gap or at - start == FRAMES:
            if at - start == FRAMES:
                runs.append(Media(media.frames[start:at], media.fps))
            start = at
    if not runs:
        raise MediaUnreadable(f"the clip has no {FRAMES} successive frames, which are needed; give a longer one")
    return tuple(runs)


async def _file_in(content_type: str, body: bytes) -> bytes:
    """Raises ValueError, RuntimeError or HttpProcessingError for what is no form with one file."""
    loop = asyncio.get_running_loop()
    stream = StreamReader(BaseProtocol(loop), max(2**16, len(body)), loop=loop)  # nobody is there to be paused
    stream.feed_data(body)
    stream.feed_eof()
    headers = CIMultiDictProxy(CIMultiDict({"Content-Type": content_type}))
    found: bytes | None = None
    reader = MultipartReader(headers, stream)
    while (part := await reader.next()) is not None:
        if isinstance(part, MultipartReader):
            raise ValueError("a form within a form is not taken")
        if part.name != FIELD:
            raise ValueError(f"the field {str(part.name)[:40]!r} is not known; {FIELD!r} is the only one")
        if found is not None:
            raise ValueError(f"the field {FIELD!r} stands there twice; send one file at a time")
        found = await part.read(decode=False)
    if found is None:
        raise ValueError(f"the field {FIELD!r} is missing")
    return found


def _too_large(most: int) -> str:
    return f"a file may have {most / 2**20:g} MiB here; give a smaller copy or a cut of it"
