"""Data sets on the hub as sources of samples, without ever pulling one whole.

A random shard is fetched (or, when it is large, read in part where it lies), a bounded number of items is drawn from
it, then another one's turn comes. Shards are kept within a byte budget, the oldest go first. When the hub is down or
asks to be left alone, what is kept serves on.
"""

from __future__ import annotations

import fnmatch
import io
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO
from urllib.parse import quote

import numpy as np

from subnet.codec import image as codec
from subnet.errors import MediaError, MediaUnreadable, SourceEmpty
from subnet.files import write_atomically
from subnet.media.cutting import Decode, cut
from subnet.media.hub.access import STRANGER, Access
from subnet.media.hub.catalog import SourceRow
from subnet.media.hub.client import Hub, HubFile, HubUnavailable, Listing, RangeFile
from subnet.media.hub.photograph import no_photograph
from subnet.media.hub.shards import OpenShard, kind_of, open_shard
from subnet.types import JSON, Label, Modality, Provenance, Sample

GIGABYTE = 10**9
IN_A_ROW = 25  # unusable shards or items before a draw gives up
BAD_ITEMS = 5  # in a row before a shard is given up


class HubSource:
    """Samples from one data set. Sizes are bytes, `refresh` seconds.

    `budget` bounds what is kept below `root`, `floor` is left free on the disk; shards over `whole_up_to` are read in
    part. `per_shard` items are drawn from one shard. `on_problem` is told of every shard and item that could not be
    used, and of the hub's refusals. `decode_video` sees untrusted bytes: give `VideoDecoder(CLIP_LIMITS).decode`.
    """

    def __init__(
        self,
        hub: Hub,
        row: SourceRow,
        root: Path,
        *,
        decode_video: Decode,
        budget: int = 10 * GIGABYTE,
        floor: int = 2 * GIGABYTE,
        whole_up_to: int = 1 * GIGABYTE,
        per_shard: int = 100,
        refresh: float = 6 * 3600.0,
        clock: Callable[[], float] = time.time,
        on_problem: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.name, self.row, self.root = row.name, row, root / quote(row.repository, safe="")
        self.budget, self.floor, self.whole_up_to, self.per_shard = budget, floor, whole_up_to, per_shard
        self._hub, self._refresh, self._clock, self._on_problem = hub, refresh, clock, on_problem
        self._decode: dict[Modality, Decode] = {Modality.IMAGE: codec.decode_image, Modality.VIDEO: decode_video}
        self._shard: OpenShard | None = None
        self._about: dict[str, JSON] = {}
        self._rows = range(0)
        self._left = 0
        self._bad_items: Counter[str] = Counter()  # in a row, by shard
        self._broken: set[str] = set()
        self._quiet_until = 0.0
        self._refusal = ""

    def draw(self, modality: Modality, label: Label, rng: np.random.Generator) -> Sample:
        """A random item. Raises SourceEmpty for what this set does not hold, or when neither hub nor disk has any."""
        if (modality, label) != (self.row.modality, self.row.label):
            raise SourceEmpty(f"{self.name} holds {self.row.label.name.lower()} {self.row.modality}s only")
        for _ in range(IN_A_ROW):
            if self._shard is None or self._left <= 0:
                self._turn_to_another(rng)
                continue
            self._left -= 1
            index = int(rng.choice(self._rows))
            try:
                member, data = self._shard.read(index)
                name = {"member": member}
                original = self._decode[modality](data)
                if reason := no_photograph(original):
                    raise MediaUnreadable(f"{member} is no photograph: {reason}")
                taken = cut(original, rng)
            except MediaError as error:
                self._on_problem(f"{self.name}: item {index} of {self._about['shard']} is of no use: {error}")
                self._count_bad_item()
            except HubUnavailable as error:
                self._note_refusal(error)
                self._close_shard()
            else:
                self._bad_items[str(self._about["shard"])] = 0
                item = f"{self._about['shard']}#{index}"
                about = {**self._about, **name, **taken.place}
                return Sample(taken.media, label, Provenance(self.name, item, self.row.licence, parameters=about))
        raise SourceEmpty(
            f"{self.name}: nothing usable in {IN_A_ROW} tries, {self._refusal or 'see the problems reported'}"
        )

    def close(self) -> None:
        """Let go of the open shard."""
        self._close_shard()

    def _turn_to_another(self, rng: np.random.Generator) -> None:
        """Open a random shard: of all the set has when the hub answers, of those kept here when it does not."""
        self._close_shard()
        listing = self._listing()
        files = [] if listing is None else [f for f in listing.files if self._is_wanted(f)]
        if listing is not None and not files:
            raise SourceEmpty(f"{self.row.repository} has no usable shard ({len(self._broken)} broken)")
        if self._clock() < self._quiet_until and listing is not None:
            files = [file for file in files if self._path(listing, file).exists()]
        if listing is None or not files:
            raise SourceEmpty(f"{self.name}: the hub gives nothing and nothing is kept: {self._refusal}")
        file = files[int(rng.integers(len(files)))]
        try:
            self._shard = open_shard(self._open(listing, file), file.path, self.row.modality, self.row.column)
        except HubUnavailable as error:
            self._note_refusal(error)
        except MediaError as error:
            self._broken.add(file.path)
            self._path(listing, file).unlink(missing_ok=True)
            self._on_problem(f"{self.name}: {error}")
        except OSError as error:
            self._note_refusal(HubUnavailable(f"the disk refuses {file.path}: {error.strerror}", retry_after=300.0))
        else:
            self._rows = self._shard.groups[int(rng.integers(len(self._shard.groups)))]
            self._left = min(self.per_shard, len(self._rows))
            self._about = {"repository": listing.repository, "commit": listing.commit, "shard": file.path}

    def _count_bad_item(self) -> None:
        """Give a shard up after BAD_ITEMS useless items in a row."""
        shard = str(self._about["shard"])
        self._bad_items[shard] += 1
        if self._bad_items[shard] >= BAD_ITEMS:
            self._broken.add(shard)
            self._close_shard()

    def _listing(self) -> Listing | None:
        """The listing kept here while it is young or the hub is silent, a new one otherwise."""
        path = self.root / "listing.json"
        local = _read_listing(path)
        if local is not None and self._clock() - path.stat().st_mtime < self._refresh:
            return local
        if self._clock() < self._quiet_until:
            return local
        try:
            listing = self._hub.listing(self.row.repository, self.row.revision)
        except HubUnavailable as error:
            self._note_refusal(error)
            return local
        write_atomically(path, json.dumps(asdict(listing)).encode())
        if local is not None and local.commit != listing.commit:
            self._broken.clear()
        return listing

    def _open(self, listing: Listing, file: HubFile) -> IO[bytes]:
        """A shard on disk, fetched if it is small enough and there is room; else a window onto the hub."""
        path = self._path(listing, file)
        if not path.exists():
            if file.size > self.whole_up_to or not self._make_room(file.size):
                if kind_of(file.path, self.row.modality) == "tar":
                    raise HubUnavailable(f"there is no room for {file.path} ({file.size:,} bytes)", retry_after=300.0)
                return io.BufferedReader(RangeFile(self._hub, listing, file), 1 << 18)
            self._hub.download(listing, file, path)
        path.touch()
        return path.open("rb")

    def _make_room(self, size: int) -> bool:
        """Evict the oldest shards until `size` more bytes fit the budget and the disk; False when they cannot."""
        shards = [(s.stat().st_mtime, s.stat().st_size, s) for s in self.root.glob("*/*") if s.is_file()]
        used = sum(shard_size for _, shard_size, _ in shards)
        if size > self.budget or shutil.disk_usage(self.root).free + used - size < self.floor:
            return False
        for _, shard_size, path in sorted(shards):
            if used + size <= self.budget and shutil.disk_usage(self.root).free - size >= self.floor:
                break
            path.unlink(missing_ok=True)
            used -= shard_size
        return True

    def _is_wanted(self, file: HubFile) -> bool:
        matches = fnmatch.fnmatch(file.path, self.row.pattern) and file.path not in self._broken
        kind = kind_of(file.path, self.row.modality)
        too_large = kind == "tar" and file.size > self.whole_up_to  # a tar has no directory: it is read from the start
        return matches and file.size > 0 and kind is not None and not too_large

    def _path(self, listing: Listing, file: HubFile) -> Path:
        return self.root / listing.commit / quote(file.path, safe="")

    def _note_refusal(self, error: HubUnavailable) -> None:
        self._quiet_until = self._clock() + error.retry_after
        self._refusal = str(error)
        self._on_problem(f"{self.name}: {error}; trying again in {error.retry_after:.0f} s")

    def _close_shard(self) -> None:
        if self._shard is not None:
            self._shard.close()
        self._shard, self._left = None, 0


def _read_listing(path: Path) -> Listing | None:
    from pydantic import TypeAdapter

    try:
        return TypeAdapter(Listing).validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def open_source(
    row: SourceRow,
    root: Path,
    access: Access = STRANGER,
    *,
    decode_video: Decode,
    on_problem: Callable[[str], None] = lambda text: None,
) -> HubSource:
    """A source of `row` that keeps its shards below `root`, with the defaults of Hub and HubSource."""
    return HubSource(Hub(access.endpoint, access.token), row, root, decode_video=decode_video, on_problem=on_problem)
