"""Features of a frozen tower, computed once for each item and kept, so that a head is trained on them in seconds.

A cache is a folder for one tower: `about.json` names the sha256 of its weights and its preprocessing, `features.f32`
holds a row of float32 for each item as it was shown, `keys.bin` 16 bytes that say which: of the item's file, the seed
and the turn it was shown in. Rows are added at the end and their keys after them: what a kill leaves half written is
cut off when the cache is next opened. What is kept for other weights is refused: neither used nor thrown away.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.dataset.cuts import MOST_LOST, THREADS, key_of, media_or_flaw
from detectors.dataset.items import DatasetItem, Tell, stored_bytes
from subnet.errors import DataError, MediaError, SettingsError
from subnet.files import write_atomically
from subnet.game.augment import LEVELS
from subnet.game.sampling import derive
from subnet.game.variant import variant_frames
from subnet.types import Media

ABOUT, FEATURES, KEYS = "about.json", "features.f32", "keys.bin"
KEY = 16  # bytes
CHUNK = 64  # items between two writes
Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class FrozenTower:
    """What gives features: the sha256 of its weights, its preprocessing in words, and the function itself.

    `features` takes media and gives (B, `width`).
    """

    sha256: str
    preprocess: str
    width: int
    features: Callable[[Sequence[Media]], NDArray[np.floating]]


@dataclass(frozen=True)
class Shown:
    """An item and how it is shown: for the `turn`th time, under `seed`, at the level that the turn gives."""

    record: DatasetItem
    root: Path
    seed: int
    turn: int = 0

    @property
    def level(self) -> int:
        return LEVELS[derive(self.seed, key_of(self.record, self.root), self.turn, "level") % len(LEVELS)]

    def media(self) -> Media | str:
        """What a miner would see, or why the item is of no use."""
        key = key_of(self.record, self.root)
        media = media_or_flaw(self.record, key, self.seed)
        if isinstance(media, str):
            return media
        return variant_frames(media, self.level, np.random.default_rng(derive(self.seed, key, self.turn)))

    def key(self) -> bytes:
        """The key of its row: the file's bytes and all that says how it is shown; b"" where it cannot be read."""
        try:
            content = hashlib.sha256(stored_bytes(self.record)).hexdigest()
        except (OSError, MediaError):
            return b""
        text = json.dumps([content, key_of(self.record, self.root), self.seed, self.turn])
        return hashlib.sha256(text.encode()).digest()[:KEY]


class FeatureCache:
    """The rows that a folder holds for one tower; `with` it, rows are read and added."""

    def __init__(self, folder: Path, tower: FrozenTower) -> None:
        """Open or make the cache. Raises SettingsError, also where it holds rows of another tower."""
        self.folder, self.tower = folder, tower
        wanted = {"sha256": tower.sha256, "preprocess": tower.preprocess, "width": tower.width}
        about = folder / ABOUT
        try:
            folder.mkdir(parents=True, exist_ok=True)
            found = json.loads(about.read_text()) if about.is_file() else None
        except (OSError, ValueError) as error:
            raise SettingsError(f"features: {folder} is no cache of features: {error}; name another folder") from error
        if found is None and any(folder.iterdir()):
            raise SettingsError(f"features: {folder} holds other files; name a folder of its own")
        if found is not None and found != wanted:
            different = ", ".join(name for name in wanted if found.get(name) != wanted[name])
            raise SettingsError(
                f"features: {folder} holds those of another tower ({different}: {str(found.get('sha256'))[:12]}, not "
                f"{tower.sha256[:12]}): name another folder, or delete it"
            )
        write_atomically(about, json.dumps(wanted).encode())
        self._rows = self._whole_rows()

    def _whole_rows(self) -> dict[bytes, int]:
        """Keys with the number of their row; what was cut off in the middle is taken away."""
        keys, rows = self.folder / KEYS, self.folder / FEATURES
        size = 4 * self.tower.width
        for path in (keys, rows):
            path.touch()
        count = min(keys.stat().st_size // KEY, rows.stat().st_size // size)
        os.truncate(keys, count * KEY)
        os.truncate(rows, count * size)
        data = keys.read_bytes()
        return {data[KEY * row : KEY * row + KEY]: row for row in range(count)}

    def __len__(self) -> int:
        return len(self._rows)

    def new(self, keys: Sequence[bytes], shown: Sequence[Shown]) -> dict[bytes, Shown]:
        """Those of `shown`, whose keys are `keys`, that can be read and have no row yet."""
        return {key: each for key, each in zip(keys, shown, strict=True) if key and key not in self._rows}

    def rows(
        self, shown: Sequence[Shown], tell: Tell, progress: Callable[[int], None] = lambda done: None
    ) -> tuple[Floats32, list[int]]:
        """Features (N, width) in the order of `shown`, and the place in it of each; what is missing is computed first.

        Items that cannot be read are left out, and told. Raises DataError where most of them are.
        """
        at: list[int] = []
        kept: list[int] = []
        flaws: dict[str, Path] = {}
        with ThreadPoolExecutor(THREADS, thread_name_prefix="features") as pool:
            for start in range(0, len(shown), CHUNK):
                part = shown[start : start + CHUNK]
                keys = list(pool.map(Shown.key, part))
                new = self.new(keys, part)
                media = dict(zip(new, pool.map(Shown.media, new.values()), strict=True))
                self.add(computed(self.tower, usable(media)))
                for place, (key, each) in enumerate(zip(keys, part, strict=True), start):
                    if key in self._rows:
                        at.append(self._rows[key])
                        kept.append(place)
                    else:
                        flaws[str(media.get(key, "it cannot be read"))] = each.record.path
                progress(start + len(part))
        self._tell_lost(shown, len(kept), flaws, tell)
        return self._held(at), kept

    @staticmethod
    def _tell_lost(shown: Sequence[Shown], kept: int, flaws: Mapping[str, Path], tell: Tell) -> None:
        for reason, example in flaws.items():
            tell(f"left out {len(shown) - kept:,} of {len(shown):,} items as they are shown: {reason} ({example})")
        if shown and kept < (1 - MOST_LOST) * len(shown):
            raise DataError(f"data: {len(shown) - kept:,} of {len(shown):,} items are of no use; mend the data")

    def _held(self, at: list[int]) -> Floats32:
        """Rows by number, mapped from disk where they lie one after another."""
        if not at:
            return np.empty((0, self.tower.width), dtype=np.float32)
        held = np.memmap(self.folder / FEATURES, dtype=np.float32, mode="r").reshape(-1, self.tower.width)
        ordered = at == list(range(at[0], at[0] + len(at)))
        return held[at[0] : at[0] + len(at)] if ordered else np.asarray(held[at])

    def add(self, found: Mapping[bytes, Floats32]) -> None:
        """Keep rows (width,) by key; those that are there already are left alone."""
        added = {key: row for key, row in found.items() if key not in self._rows}
        if not added:
            return
        for name, data in ((FEATURES, np.stack(list(added.values())).tobytes()), (KEYS, b"".join(added))):
            with (self.folder / name).open("ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        self._rows |= {key: len(self._rows) + number for number, key in enumerate(added)}


def usable(shown: Mapping[bytes, Media | str]) -> dict[bytes, Media]:
    """Without those that are a reason why there is nothing to see."""
    return {key: each for key, each in shown.items() if not isinstance(each, str)}


def computed(tower: FrozenTower, media: Mapping[bytes, Media]) -> dict[bytes, Floats32]:
    """A row (width,) for each of `media`, computed together. Raises DataError where they are not finite."""
    if not media:
        return {}
    found = np.ascontiguousarray(tower.features(list(media.values())), dtype=np.float32)
    if found.shape != (len(media), tower.width) or not np.isfinite(found).all():
        raise DataError(
            f"features: the tower gives {found.shape} for {len(media)} items, or numbers that are not finite, where "
            f"({len(media)}, {tower.width}) is needed"
        )
    return dict(zip(media, found, strict=True))


def describe(preprocess: object) -> str:
    """The preprocessing of a row in words that differ where it does."""
    return json.dumps(asdict(preprocess), sort_keys=True, default=str)  # type: ignore[call-overload]
