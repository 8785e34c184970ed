"""What tells whoever follows a journal that its files may be others than those that were read, without reading them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from subnet.errors import StateError
from subnet.evidence.entries.segments import is_segment

Mark = tuple[int, int, int, int]  # device, inode, bytes, and the last change in nanoseconds


@dataclass(frozen=True)
class Marks:
    """`live` is of files that change as a journal grows, `parts` of those that never change once they are there."""

    live: tuple[Mark | None, ...] = ()
    parts: Mapping[str, object] = field(default_factory=dict)  # by name

    def follow(self, before: Marks) -> bool:
        """Whether every part of `before` is still there as it was."""
        return before.parts.items() <= self.parts.items()


def mark(path: str | Path) -> Mark | None:
    """Of one file, None where there is none."""
    try:
        return _mark(os.stat(path))
    except OSError:
        return None


def _mark(found: os.stat_result) -> Mark:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def marks_of(live: Path, segments: Path) -> Marks:
    """Of a validator's own journal, in some 4 us a part. Raises StateError for a folder that is shut."""
    log = live.with_name(live.name + "-wal")
    try:
        with os.scandir(segments) as found:
            parts = {file.name: _mark(file.stat()) for file in found if is_segment(file.name)}
    except FileNotFoundError:
        parts = {}
    except OSError as error:
        raise StateError(f"the folder of segments {segments} cannot be read: {error.strerror}") from error
    return Marks((mark(live), mark(log)), parts)
