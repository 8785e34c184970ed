"""Items that were asked, kept for a while so that what miners were sent can be proven, within a byte budget.

A retired item moves here under the name of its content. Oldest go first, by time and where the budget is full.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from subnet.codec.image import TARGET_SIZE, ImageLimits, Limits
from subnet.errors import MediaError, MediaUnreadable
from subnet.files import private_folder
from subnet.media.pool.item import CONTENT_DIGITS, SUFFIX, PoolItem, open_item, parse_cell, unpack
from subnet.types import Sample

PIXELS: Final = 4 * TARGET_SIZE[0] * TARGET_SIZE[1]  # of a frame; what producers put has a quarter
IMAGES: Final = ImageLimits(pixels=PIXELS, jpeg_pixels=PIXELS)
CLIPS: Final = Limits(frame_pixels=PIXELS)

# what headers of odd values lead to
_ODD: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


class Kept:
    """The folder `root`, which holds at most `budget` bytes, each item at most `seconds`."""

    def __init__(self, root: Path, budget: int, seconds: float) -> None:
        self.root, self.budget, self.seconds = root, budget, seconds

    def keep(self, item: PoolItem, now: float | None = None) -> None:
        """Move `item` here; nothing happens where it is gone, or keeping is off. Raises OSError as the disk does."""
        if self.seconds <= 0 or self.budget <= 0:
            return
        now, path = time.time() if now is None else now, private_folder(self.root) / f"{item.content}{SUFFIX}"
        with suppress(FileNotFoundError):
            shutil.move(item.path, path)
            os.utime(path, (now, now))
        self.trim(now)

    def trim(self, now: float) -> int:
        """Delete what is too old, and the oldest where there is too much; how many items."""
        items, total, dropped = [], 0, 0
        for path in self.root.glob(f"*{SUFFIX}"):
            facts = path.stat()
            items.append((facts.st_mtime, facts.st_size, path))
            total += facts.st_size
        for at, size, path in sorted(items):
            if at >= now - self.seconds and total <= self.budget:
                break
            path.unlink(missing_ok=True)
            total, dropped = total - size, dropped + 1
        return dropped

    def read(self, content: str) -> bytes | None:
        """The file of the item of that content, None where it is not kept whole."""
        try:
            data = (self.root / f"{content}{SUFFIX}").read_bytes()
            checked(data, content)
        except (FileNotFoundError, MediaUnreadable):
            return None
        return data


def checked(data: bytes, content: str) -> PoolItem:
    """The item of that content that a file holds. Raises MediaUnreadable for anything else."""
    where = Path(f"{content}{SUFFIX}")
    try:
        cell, stream, sequence = str(json.loads(data.split(b"\n", 2)[1])["id"]).rsplit("/", 2)
        item = PoolItem(int(sequence), stream, content, parse_cell(cell), where)
    except (LookupError, TypeError, ValueError) as error:
        raise MediaUnreadable(f"{where} is no item of a pool: {error}") from error
    header, media = open_item(item, data)
    digest = hashlib.sha256(media).hexdigest()
    if header["sha256"] != digest or digest[:CONTENT_DIGITS] != content:
        raise MediaUnreadable(f"{where} holds other media than its name says")
    return item


def sample_of(data: bytes, content: str) -> Sample:
    """The sample in a file that holds the item of that content. Raises MediaUnreadable for anything else, MediaTooLarge
    for more pixels than any item has.
    """
    try:
        return unpack(checked(data, content), data, IMAGES, CLIPS)
    except MediaError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:  # a header of odd values
        raise MediaUnreadable(f"{content}{SUFFIX} is no item of a pool: {str(error)[:200]}") from error
