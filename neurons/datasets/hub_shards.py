"""A data set on the hub by name, `hub:OWNER/NAME`, as a folder of its shards: fetched once, checked by its hashes."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from detectors.dataset.items import Tell
from detectors.dataset.shards import SUFFIXES
from subnet.errors import SettingsError
from subnet.media.hub.access import read_access
from subnet.media.hub.client import Hub, HubFile
from subnet.types import Split

HUB = "hub:"
SPLITS = {"train": Split.TRAIN, "val": Split.VALIDATION, "valid": Split.VALIDATION, "validation": Split.VALIDATION}
SPLITS |= {"dev": Split.VALIDATION, "test": Split.TEST}


def fetch_shards(name: str, home: Path, tell: Tell) -> Path:
    """The folder of the shards of data set `name`, each in the folder of the split that its own path names.

    Size and place are told before anything is fetched; a fetch that broke is taken up where it broke. Raises
    SettingsError for a name that is none, or a set without shards, HubUnavailable where the hub refuses.
    """
    owner, slash, set_name = name.partition("/")
    if not (owner and slash and set_name) or "/" in set_name:
        raise SettingsError(f"--data {HUB}{name}: a data set on the hub is called {HUB}owner/name")
    access = read_access(os.environ)
    hub = Hub(access.endpoint, access.token)
    try:
        listing = hub.listing(name)
        files = [file for file in listing.files if file.path.endswith(SUFFIXES)]
        if not files:
            kinds = ", ".join(SUFFIXES)
            raise SettingsError(f"--data {HUB}{name}: the set has no shards ({kinds}); unpack it to a folder")
        folder = home / f"hub-{owner}--{set_name}-{listing.commit[:12]}"
        targets = [(file, folder / _place(file)) for file in files]
        missing = [(file, target) for file, target in targets if not target.is_file()]
        if missing:
            size = sum(file.size for file, _ in missing) / 1e9
            tell(f"{name}: fetching {len(missing):,} shards, {size:,.1f} GB, into {folder}")
        for file, target in missing:
            hub.download(listing, file, target)
    finally:
        hub.close()
    return folder


def _place(file: HubFile) -> PurePosixPath:
    """Where a shard goes: below the split that its folder, or the first word of its name, is called by."""
    path = PurePosixPath(file.path)
    words = [*path.parts[:-1], path.name.replace("_", "-").partition("-")[0]]
    split = next((SPLITS[word.lower()] for word in words if word.lower() in SPLITS), None)
    parts = [part for part in path.parts if part.lower() not in SPLITS and part != ".."]
    return PurePosixPath(*([split] if split else []), *parts)
