"""All clues of one file, in the order in which they are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from neurons.provenance.clue import Clue, State
from neurons.provenance.credentials import credentials
from neurons.provenance.jpeg_history import steps, twice
from neurons.provenance.metadata import Metadata, metadata
from neurons.provenance.rescaling import rescaled
from neurons.provenance.tags import camera, container, generator
from neurons.provenance.xmp import fields, source_type
from subnet.codec.image_header import read_header
from subnet.codec.still import format_of
from subnet.codec.video import LONGEST_TAG, MOST_TAGS, Clip
from subnet.types import Media

WATERMARK: Final = Clue(
    "invisible watermark",
    State.NOT_READ,
    "Not looked for: the marks in use today are read by their makers alone, and no public decoder is kept up.",
    "A mark that its maker's own reader finds is a strong sign; that none was found here says nothing.",
)
_TYPES: Final = {
    "JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "TIFF": "image/tiff",
    "AVIF": "image/avif", "HEIF": "image/heif",
}  # fmt: skip


def evidence(data: bytes, given: Media | Clip, trust: Path | None = None) -> tuple[Clue, ...]:
    """What the file `data`, which was decoded to `given`, says of where it came from.

    `trust` are certificates in PEM of authorities whose Content Credentials are trusted. Raises nothing for a file that
    could be decoded: what cannot be read is a clue that says so.
    """
    return _of_clip(data, given, trust) if isinstance(given, Clip) else _of_image(data, given, trust)


def _of_image(data: bytes, media: Media, trust: Path | None) -> tuple[Clue, ...]:
    found = metadata(data)
    packet = fields(found.xmp) if found.format else None
    complete = found.complete and packet is not None
    texts = (*found.exif, *found.texts, *(packet or ()))
    return (
        credentials(data, _TYPES.get(format_of(data) or found.format, "image/jpeg"), trust),
        source_type(packet),
        generator(texts, complete=complete),
        camera(texts, complete=complete),
        steps(found.tables),
        twice(_body(data, found), found.tables),
        rescaled(media.frames[0]),
        WATERMARK,
    )


def _body(data: bytes, found: Metadata) -> bytes:
    """A JPEG file without its metadata, which no decoder is to see."""
    return read_header(data).body if found.format == "JPEG" else b""


def _of_clip(data: bytes, clip: Clip, trust: Path | None) -> tuple[Clue, ...]:
    kind = "video/x-msvideo" if data[:4] == b"RIFF" else "video/quicktime" if data[4:12] == b"ftypqt  " else "video/mp4"
    tags = clip.tags
    complete = len(tags) < MOST_TAGS and all(len(text) < LONGEST_TAG for _, text in tags)  # longer ones were cut
    return (
        credentials(data, kind, trust),
        generator(tags, complete=complete),
        camera(tags, complete=complete),
        container(tags),
        WATERMARK,
    )
