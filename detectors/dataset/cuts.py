"""Items of a data set as a validator's pool holds them, 256 x 256, and those that cannot be held so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from detectors.dataset.items import DatasetItem, Tell, decode, load_media, silence
from detectors.dataset.presets import with_side
from subnet.codec.image import TARGET_SIZE
from subnet.errors import DataError, MediaError, MediaUnreadable
from subnet.game.sampling import derive
from subnet.media.cutting import FRAMES, check_size, cut
from subnet.types import Label, Media, Modality

FEWEST_FRAMES = 4
MOST_LOST = 0.5  # of the items of a label that may be of no use
THREADS = 2
UNREADABLE, REFUSED = "unreadable", "refused"
T = TypeVar("T")


class Spread(Protocol):
    """What calls a function with every record, somewhere, and gives what it returned, in order."""

    def __call__(self, function: Callable[[DatasetItem], T], records: Sequence[DatasetItem]) -> Sequence[T]: ...


def in_threads(function: Callable[[DatasetItem], T], records: Sequence[DatasetItem]) -> Sequence[T]:
    """Spread over a few threads of this process."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="sift") as pool:
        return list(pool.map(function, records))


def key_of(record: DatasetItem, root: Path) -> str:
    """A name of the item that moves with the data set."""
    path = record.path
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name


def pixel_bytes(modality: Modality) -> int:
    """Bytes of an item as it is held: 256 x 256, of a clip 16 frames."""
    return (FRAMES if modality is Modality.VIDEO else 1) * 3 * int(np.prod(TARGET_SIZE))


def challenge_media(record: DatasetItem, key: str, seed: int) -> Media:
    """The item as a validator's pool holds it: 256 x 256, of a clip at most 16 frames. Raises DataError."""
    return held(usable_media(record), key, seed)


def usable_media(record: DatasetItem) -> Media:
    """The item as it is stored. Raises DataError where it cannot be read, or would be refused."""
    media = load_media(record)
    try:
        _check(media)
    except MediaUnreadable as error:
        raise DataError(f"data: {record.path} is of no use: {error}") from error
    return media


def held(media: Media, key: str, seed: int) -> Media:
    """What a validator's pool holds of `media`."""
    if media.frames.shape[1:3] == TARGET_SIZE and len(media.frames) <= FRAMES:
        return media
    return cut(media, np.random.default_rng(derive(seed, key)), min(FRAMES, len(media.frames))).media


def media_or_flaw(record: DatasetItem, key: str, seed: int) -> Media | str:
    """What `challenge_media` gives, or why the item is of no use."""
    try:
        return challenge_media(record, key, seed)
    except DataError as error:
        return reason_of(error)


def reason_of(error: DataError) -> str:
    """Why an item is of no use, without its name."""
    reason = error.__cause__ or error
    return (reason.strerror or type(reason).__name__) if isinstance(reason, OSError) else str(reason)


def sift(records: Sequence[DatasetItem], what: str, tell: Tell = silence) -> list[DatasetItem]:
    """`records` without those that `challenge_media` would refuse, each of which is decoded for that.

    What is left out, and how many pictures are enlarged, is told by the name `what`. Raises DataError when over
    MOST_LOST of the items of a label are of no use.
    """
    return sifted(records, what, tell)[0]


def sifted(
    records: Sequence[DatasetItem], what: str, tell: Tell = silence, spread: Spread = in_threads
) -> tuple[list[DatasetItem], list[tuple[DatasetItem, Flaw]]]:
    """`sift`, and beside it what was left out. Raises DataError."""
    findings = spread(finding, records)
    found = [(record, each) for record, each in zip(records, findings, strict=True) if isinstance(each, Flaw)]
    small = [each for each in findings if isinstance(each, int) and each < min(TARGET_SIZE)]
    if small:
        factor = min(TARGET_SIZE) / min(small)
        tell(
            f"{len(small):,} of {len(records):,} in {what} are enlarged to 256 pixels a side, up to {factor:.1f} times"
        )
    return _without(records, {record.path: flaw.reason for record, flaw in found}, what, tell), found


@dataclass(frozen=True)
class Flaw:
    """Why an item is of no use. `outcome` is "unreadable", or "refused" for what a validator would never ask."""

    outcome: str
    reason: str


def finding(record: DatasetItem) -> int | Flaw:
    """The shorter side in pixels, or why the item is of no use."""
    try:
        media = decode(record)
    except OSError as error:
        return Flaw(UNREADABLE, error.strerror or type(error).__name__)
    except MediaError as error:
        return Flaw(UNREADABLE, str(error))
    try:
        _check(media)
    except MediaUnreadable as error:
        return Flaw(REFUSED, str(error))
    return int(min(media.frames.shape[1:3]))


def _check(media: Media) -> None:
    if media.modality is Modality.VIDEO and len(media.frames) < FEWEST_FRAMES:
        raise MediaUnreadable(f"{len(media.frames)} frames; a clip needs at least {FEWEST_FRAMES}")
    try:
        check_size(media)
    except MediaUnreadable as error:
        name = with_side(min(media.frames.shape[1:3]))
        way = f"; as pictures of the published set {name} they are read scaled up: write {name}:DIR" if name else ""
        raise MediaUnreadable(f"{error}{way}") from error
    if (media.frames == media.frames[:, :1, :1]).all():
        raise MediaUnreadable("one colour all over, which nothing can be learnt from; give pictures with content")


def not_all_alike(records: Sequence[DatasetItem], what: str) -> None:
    """Raises DataError where every one of `records` holds the same pixels; decodes no more than that takes."""
    first = load_media(records[0]).frames
    if all(np.array_equal(first, load_media(record).frames) for record in records[1:]):
        raise DataError(
            f"data: all {len(records):,} items of {what} hold the same pixels, so that no feature of them differs; "
            "give real and synthetic items that are not copies of one"
        )


def _without(records: Sequence[DatasetItem], flaws: Mapping[Path, str], what: str, tell: Tell) -> list[DatasetItem]:
    reasons = Counter(flaws.values())
    for reason, count in reasons.most_common():
        example = next(path for path in flaws if flaws[path] == reason)
        tell(f"left out {count:,} of {len(records):,} in {what}: {reason} ({example.name})")
    for label in Label:
        whole = [record for record in records if record.label is label]
        gone = sum(record.path in flaws for record in whole)
        if gone > MOST_LOST * len(whole):
            raise DataError(
                f"data: {gone:,} of the {len(whole):,} {label.name.lower()} items of {what} are of no use: "
                f"{reasons.most_common(1)[0][0]}"
            )
    return [record for record in records if record.path not in flaws]
