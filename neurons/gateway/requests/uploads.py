"""From a request's body to media of a stranger: every step has its bounds in bytes, pixels, and seconds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from neurons.gateway.requests.problems import Kind, Refusal
from neurons.verdicts.form import FIELD, OVERHEAD, file_in, is_form
from neurons.verdicts.kinds import START, Formats, modality, told
from subnet.codec.image import ImageLimits, decode_image
from subnet.codec.sandbox import VideoDecoder
from subnet.codec.video import Clip, Limits
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.media.cutting import CONTAINERS, FRAMES, check_size
from subnet.types import Media, Modality

BODY_SECONDS: Final = 60.0
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
        return most + OVERHEAD
    if not said.isdecimal():
        raise Refusal(Kind.BAD_REQUEST, "Content-Length is no number", unread=True)
    if int(said) > most + OVERHEAD:
        raise Refusal(Kind.TOO_LARGE, _too_large(most), unread=True)
    return int(said)


async def read_body(receive: Receive, most: int) -> bytes:
    """The whole body, counted as it comes. Raises Refusal for more than a file of `most` bytes, and a late one, and
    ClientDisconnect."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > most + OVERHEAD:
                    raise Refusal(Kind.TOO_LARGE, _too_large(most), unread=more)
    except TimeoutError:
        raise Refusal(Kind.TOO_SLOW, f"the upload took more than {BODY_SECONDS:g} s", unread=True) from None
    return bytes(body)


def file_of(content_type: str, body: bytes, most: int) -> bytes:
    """The one file in a form. Raises Refusal. For threads, as `file_in` is."""
    if not is_form(content_type):
        raise Refusal(Kind.NOT_MULTIPART, f"send the file as the field {FIELD!r} of multipart/form-data")
    try:
        _, data = file_in(content_type, body)
    except ValueError as error:
        raise Refusal(Kind.BAD_REQUEST, f"the form cannot be read: {error}") from error
    if len(data) > most:
        raise Refusal(Kind.TOO_LARGE, _too_large(most))
    return data


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
    if not runs and len(times) < FRAMES:
        raise MediaUnreadable(f"the clip has no {FRAMES} successive frames, which are needed; give a longer one")
    if not runs:
        raise MediaUnreadable(
            f"nowhere in the clip do {FRAMES} frames follow each other without a gap of three times the mean; export "
            "it at a constant frame rate"
        )
    return tuple(runs)


def _too_large(most: int) -> str:
    return f"a file may have {most / 2**20:g} MiB here; give a smaller copy or a cut of it"
