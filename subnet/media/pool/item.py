"""One ready item of the pool as one file: what it is called, what stands in it, and how it is checked.

A file is `assay-item 1 SHA256\\n`, a line of JSON, then the media (PNG or lossless MP4). The checksum covers all that
follows it, so that a flipped bit in the label is found as surely as one in a pixel. What a draw needs to know stands
in the name, so that listing a folder opens nothing. The bytes are the same for the same item: no clock, no host.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from subnet.codec.image import ImageLimits, Limits, decode_image, decode_video, encode_lossless_video, encode_png
from subnet.errors import MediaUnreadable
from subnet.types import Label, Media, Modality, Provenance, Sample

SUFFIX = ".item"
BAD_SUFFIX = ".bad"
CONTENT_DIGITS = 32  # of the sha256 of the stored media, in hex: 128 bits
_IMAGES, _CLIPS = ImageLimits(), Limits()
_MAGIC = b"assay-item 1 "
_NAME = re.compile(r"(\d{10})-([A-Za-z0-9_.]{1,64})-([0-9a-f]{32})\.item")
_STREAM = re.compile(r"[A-Za-z0-9_.]{1,64}")


@dataclass(frozen=True, order=True)
class Cell:
    """A kind of media that is kept ready: modality, label, and the generator or source it comes from."""

    modality: Modality
    label: Label
    origin: str

    def __post_init__(self) -> None:
        if not self.origin or self.origin.startswith(".") or len(quote(self.origin, safe="")) > 200:
            raise ValueError(f"an origin is a name of 1..200 characters that begins with no dot, not {self.origin!r}")

    @property
    def folder(self) -> Path:
        """Where its items lie below the root of the pool."""
        return Path(str(self.modality)) / self.label.name.lower() / quote(self.origin, safe="")

    def __str__(self) -> str:
        return f"{self.modality}/{self.label.name.lower()}/{self.origin}"


def cell_of(folder: Path, root: Path) -> Cell | None:
    """The cell whose items lie in `folder`; None for a folder that is none of ours."""
    try:
        modality, label, origin = folder.relative_to(root).parts
        return Cell(Modality(modality), Label[label.upper()], unquote(origin))
    except (ValueError, KeyError):
        return None


def parse_cell(name: str) -> Cell:
    """ "image/real/embedded" as a cell; the origin may hold slashes. Raises ValueError."""
    modality, _, rest = name.partition("/")
    label, _, origin = rest.partition("/")
    if label.upper() not in Label.__members__ or not origin:
        raise ValueError(f"{name!r} should read like image/real/embedded or video/synthetic/video-jitter")
    return Cell(Modality(modality), Label[label.upper()], origin)


@dataclass(frozen=True, order=True)
class PoolItem:
    """An item on disk. Ordered by sequence, then stream: the order in which items are asked."""

    sequence: int
    stream: str
    content: str  # first 32 hex digits of the sha256 of the stored media
    cell: Cell
    path: Path

    @property
    def id(self) -> str:
        """The same for the same (cell, stream, sequence), whatever the media."""
        return f"{self.cell}/{self.stream}/{self.sequence}"


def check_stream(stream: str) -> str:
    """`stream`, or ValueError where it cannot be a part of a file's name."""
    if not _STREAM.fullmatch(stream) or stream.startswith("."):
        raise ValueError(f"a stream is 1..64 letters, digits, '_' or '.', not {stream!r}")
    return stream


def parse_name(name: str, cell: Cell, folder: Path) -> PoolItem | None:
    """The item called `name`; None for temporary, quarantined and foreign files."""
    match = _NAME.fullmatch(name)
    return None if match is None else PoolItem(int(match[1]), match[2], match[3], cell, folder / name)


def pack(sample: Sample, cell: Cell, stream: str, sequence: int) -> tuple[str, bytes]:
    """The name and the bytes of the file that holds `sample` as item `sequence` of `stream` in `cell`."""
    if cell.modality is not sample.modality or cell.label is not sample.label:
        raise ValueError(f"a sample of {sample.modality}/{sample.label.name.lower()} does not belong into {cell}")
    if not 0 <= sequence < 10**10:
        raise ValueError(f"sequence must be in 0..10^10, not {sequence}")
    media = encode_png(sample.media) if sample.media.fps is None else encode_lossless_video(sample.media)
    digest = hashlib.sha256(media).hexdigest()
    header = {
        "id": f"{cell}/{stream}/{sequence}",
        "sha256": digest,
        "fps": sample.media.fps,
        "provenance": {**asdict(sample.provenance), "parameters": dict(sample.provenance.parameters)},
    }
    rest = json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n" + media
    checksum = hashlib.sha256(rest).hexdigest().encode()
    name = f"{sequence:010d}-{check_stream(stream)}-{digest[:CONTENT_DIGITS]}{SUFFIX}"
    return name, _MAGIC + checksum + b"\n" + rest


def open_item(item: PoolItem, data: bytes) -> tuple[Mapping[str, Any], bytes]:
    """The header and the stored media. Raises MediaUnreadable for anything but the bytes that were written."""
    first, _, rest = data.partition(b"\n")
    if not first.startswith(_MAGIC) or hashlib.sha256(rest).hexdigest().encode() != first[len(_MAGIC) :]:
        raise MediaUnreadable(f"{item.path} is damaged: its checksum does not fit")
    line, _, media = rest.partition(b"\n")
    header: Mapping[str, Any] = json.loads(line)
    if header["id"] != item.id or not header["sha256"].startswith(item.content):
        raise MediaUnreadable(f"{item.path} holds {header['id']}, not what its name says")
    return header, media


def unpack(item: PoolItem, data: bytes, image: ImageLimits = _IMAGES, video: Limits = _CLIPS) -> Sample:
    """The sample, pixel by pixel as it was put.

    Raises MediaUnreadable as `open_item` does, and MediaTooLarge over limits.
    """
    header, stored = open_item(item, data)
    fps = header["fps"]
    media = decode_image(stored, image) if fps is None else Media(decode_video(stored, video).frames, fps)
    return Sample(media, item.cell.label, Provenance(**header["provenance"]))
