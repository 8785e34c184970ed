"""The items of a data set that is laid out as a preset says, and what is missing or wrong in one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from detectors.dataset.contents import connected_components
from detectors.dataset.cuts import Flaw, finding
from detectors.dataset.folder_names import content_of, place_of
from detectors.dataset.items import DatasetItem, read_folder
from detectors.dataset.presets import WHOLE, Part, Preset, part_of, resembled
from subnet.codec.image import stored_size
from subnet.errors import DataError, MediaUnreadable
from subnet.media.dataset_folder import INDEX
from subnet.media.folder import modality_of, take_inventory
from subnet.types import Modality

THREADS = 2
EXAMPLES = 20  # of files that cannot be read, or lie in no part
Progress = Callable[[int, int], None]  # files decoded so far, and all that will be


@dataclass(frozen=True)
class PartReport:
    """Files of one part: how many there are, and how many the authors publish (None: not given)."""

    part: Part
    files: int

    @property
    def finding(self) -> str:
        """missing, short, more or ok."""
        published = self.part.count
        if not self.files:
            return "missing"
        if published is None or self.files == published:
            return "ok"
        return "short" if self.files < published else "more"


@dataclass(frozen=True)
class PresetReport:
    """What a folder holds of a preset; `resembles` is another that it looks like more."""

    preset: Preset
    root: Path
    parts: tuple[PartReport, ...]
    items: int
    decoded: int
    unreadable: Mapping[Path, str]
    unplaced: tuple[Path, ...]
    left_out: tuple[str, ...]
    resembles: str | None

    @property
    def whole(self) -> bool:
        """Every folder is there with all its files, and all that were decoded can be."""
        return bool(self.items) and not self.unreadable and all(each.finding in ("ok", "more") for each in self.parts)


def preset_items(chosen: Preset, root: Path) -> dict[str, list[DatasetItem]]:
    """Items by split, those of a preset with an index under WHOLE. Files outside the preset's folders are left out.

    Raises DataError where there are none, naming the preset that the folder resembles.
    """
    if not root.is_dir():
        raise DataError(f"data: {root} is not a folder; {chosen.name} comes from {chosen.source}")
    if not chosen.parts:
        return {WHOLE: read_folder(root)}
    placed, _ = _placed(chosen, root, take_inventory(root).files)
    if not placed:
        other = resembled([path.relative_to(root) for path in take_inventory(root).files])
        hint = f"it resembles {other}: write {other}:{root}" if other else f"see assay dataset check {chosen.name} DIR"
        ways = ", ".join(dict.fromkeys(part.way for part in chosen.parts))
        raise DataError(f"data: {root} is not laid out as {chosen.name} ({ways}); {hint}")
    by_split: dict[str, list[DatasetItem]] = defaultdict(list)
    for part, item in placed:
        by_split[part.split].append(item)
    return {split: _together(items) if chosen.twins else items for split, items in by_split.items()}


def _placed(
    chosen: Preset, root: Path, files: Sequence[Path]
) -> tuple[list[tuple[Part, DatasetItem]], tuple[Path, ...]]:
    """Each file with the part that it lies in, and the files that lie in none."""
    placed, rest = [], []
    for path in files:
        way, modality = path.relative_to(root), modality_of(path)
        found = part_of(chosen, way)
        if found is None or modality is None:
            rest.append(path)
        else:
            part, origin = found
            about = DatasetItem(path, part.label, modality, origin, item=_content(way), licence=chosen.licence)
            item = replace(about, enlarge=chosen.side is not None)
            placed.append((part, item))
    return placed, tuple(rest)


def _content(way: PurePath) -> str:
    place = place_of(way)
    return place.content if place else content_of(way.parts[:-1], way.stem)


def _together(items: Sequence[DatasetItem]) -> list[DatasetItem]:
    """Items whose name is `a_b` with those of `a` and of `b`: all that shows either of two people is one content."""
    groups = connected_components([item.path.stem.split("_") for item in items])
    return [replace(item, item=f"group-{number}") for item, number in zip(items, groups.tolist(), strict=True)]


def check(
    chosen: Preset, root: Path, *, decode_most: int | None = None, progress: Progress = lambda done, total: None
) -> PresetReport:
    """Compare a folder with a preset. At most `decode_most` files of each part are decoded, by default all.

    Raises DataError where `root` is no folder.
    """
    if not root.is_dir():
        raise DataError(f"data: {root} is not a folder")
    inventory = take_inventory(root)
    if chosen.parts:
        placed, unplaced = _placed(chosen, root, inventory.files)
    else:
        records = read_folder(root) if (root / INDEX).is_file() else []
        placed = [(Part(WHOLE, INDEX, record.label), record) for record in records]
        unplaced = () if records else inventory.files
    counted = Counter(part for part, _ in placed)
    tried: list[DatasetItem] = []
    for part in counted:
        tried.extend([item for of, item in placed if of == part][:decode_most])
    ways = [path.relative_to(root) for path in inventory.files]
    near = resembled(ways) if len(unplaced) > len(placed) else None
    expected = chosen.parts or tuple(counted)
    return PresetReport(
        preset=chosen,
        root=root,
        parts=tuple(PartReport(part, counted[part]) for part in expected),
        items=len(placed),
        decoded=len(tried),
        unreadable=_unreadable(tried, progress),
        unplaced=unplaced,
        left_out=(*inventory.notes(), *_other_sides(chosen, tried)),
        resembles=near if near != chosen.name else None,
    )


def _other_sides(chosen: Preset, records: Sequence[DatasetItem]) -> list[str]:
    """That pictures are not of the side that the set is known for, where they are not."""
    if chosen.side is None:
        return []
    images = [record for record in records if record.modality is Modality.IMAGE]
    wrong = [(record.path, side) for record in images if (side := _side(record.path)) not in (None, chosen.side)]
    if not wrong:
        return []
    path, side = wrong[0]
    return [
        f"{len(wrong):,} of {len(images):,} pictures are not {chosen.side} pixels a side, such as {path} with {side}: "
        f"this is not {chosen.name} as it is published; pictures from 64 pixels on are not scaled up"
    ]


def _side(path: Path) -> int | None:
    """The shorter side as stored, in pixels; None where the header does not say."""
    try:
        return min(stored_size(path.read_bytes()))
    except (OSError, MediaUnreadable):
        return None


def _unreadable(records: Sequence[DatasetItem], progress: Progress) -> dict[Path, str]:
    flaws = {}
    with ThreadPoolExecutor(THREADS, thread_name_prefix="check") as pool:
        for done, (record, flaw) in enumerate(zip(records, pool.map(_flaw, records), strict=True), start=1):
            if flaw:
                flaws[record.path] = flaw
            progress(done, len(records))
    return flaws


def _flaw(record: DatasetItem) -> str:
    """Why training would leave the item out; "" where it would not."""
    found = finding(record)
    return found.reason if isinstance(found, Flaw) else ""
