"""Can this machine run a row of the table? Asked before anything is fetched, and answered in words."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import psutil

from generators.rows import GeneratorRow
from subnet.errors import SettingsError
from subnet.types import JSON

GIB = 2**30
TIERS = (12, 24, 48, 80)  # GB of GPU memory that cards are sold with
SLACK = 0.92  # a "24 GB" card has a little less to give


class Needs(Protocol):
    """What a row of any table of models says of its needs."""

    @property
    def name(self) -> str: ...
    @property
    def repository(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def vram_gb(self) -> float: ...
    @property
    def disk_gb(self) -> float: ...
    @property
    def gated(self) -> bool: ...
    @property
    def embedded(self) -> bool: ...
    @property
    def options(self) -> Mapping[str, JSON]: ...


@dataclass(frozen=True)
class Machine:
    """What a host has to offer. Sizes in GiB; `gpus` holds the total memory of each card."""

    gpus: tuple[float, ...]
    ram_gb: float
    disk_gb: float  # free, where models are kept
    token: bool  # a token of the Hugging Face hub is set
    cache: Path  # where models are kept

    def holds(self, row: Needs) -> bool:
        """True when the row's repository is a folder, or its index was fetched before."""
        if Path(row.repository).is_dir():
            return True
        from huggingface_hub import try_to_load_from_cache

        part = row.options.get("subfolder")
        names = (f"{part}/config.json",) if part else ("model_index.json", "config.json")
        return any(
            isinstance(
                try_to_load_from_cache(row.repository, index, revision=row.revision or None, cache_dir=self.cache), str
            )
            for index in names
        )


@dataclass(frozen=True)
class Listing:
    """One line of `assay generators`."""

    name: str
    repository: str
    revision: str
    task: str
    pipeline: str
    licence: str
    vram_gb: float
    tier: str
    runnable_here: bool
    reason: str

    def to_json(self) -> dict[str, JSON]:
        return asdict(self)


def probe(cache: Path | None = None, token: bool | None = None) -> Machine:
    """Look at this host: graphics cards through torch, memory, free disk, the hub's folder and token."""
    import huggingface_hub.constants
    import torch

    folder = cache or Path(huggingface_hub.constants.HF_HUB_CACHE)
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    cards = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return Machine(
        gpus=tuple(torch.cuda.get_device_properties(card).total_memory / GIB for card in cards),
        ram_gb=psutil.virtual_memory().total / GIB,
        disk_gb=shutil.disk_usage(existing).free / GIB,
        token=huggingface_hub.get_token() is not None if token is None else token,
        cache=folder,
    )


def tier(row: Needs) -> str:
    """The smallest kind of card that runs the row: "cpu", "12", "24", "48", "80" or "more"."""
    if row.vram_gb == 0:
        return "cpu"
    return next((str(size) for size in TIERS if row.vram_gb <= size), "more")


def obstacle(row: Needs, machine: Machine, device: str | None = None) -> str:
    """Why `machine` cannot run `row`, with what would help; "" when it can. `device` as torch names it."""
    return _memory_obstacle(row, machine, device) or _download_obstacle(row, machine)


def _memory_obstacle(row: Needs, machine: Machine, device: str | None) -> str:
    if row.vram_gb == 0:
        return ""
    need, largest = f"needs a GPU with {row.vram_gb:g} GB", max(machine.gpus, default=0.0)
    if not machine.gpus:
        return f"{need}, and this machine has none"
    if device == "cpu":
        return f"{need}, and the CPU was asked for"
    if largest < row.vram_gb * SLACK:
        return f"{need}, and the largest here has {largest:.0f} GB"
    if row.options.get("offload") and machine.ram_gb < row.disk_gb:
        return f"needs about {row.disk_gb:g} GB of memory to offload to, and this machine has {machine.ram_gb:.0f} GB"
    return ""


def _download_obstacle(row: Needs, machine: Machine) -> str:
    if row.embedded or not row.repository or machine.holds(row):
        return ""
    if row.gated and not machine.token:
        return (
            f"{row.repository} is gated: accept its terms at https://huggingface.co/{row.repository} and set HF_TOKEN"
        )
    if machine.disk_gb < row.disk_gb:
        return f"needs {row.disk_gb:g} GB of disk under {machine.cache}, and {machine.disk_gb:.0f} GB are free"
    return ""


def require(row: Needs, machine: Machine, device: str) -> None:
    """Raise SettingsError naming the row and the fix when `obstacle` finds one."""
    if reason := obstacle(row, machine, device):
        raise SettingsError(f"{row.name!r} cannot run here: {reason}")


def listing(rows: Iterable[GeneratorRow], machine: Machine) -> list[Listing]:
    """The table as `assay generators` shows it, in the table's order."""
    result = []
    for row in rows:
        reason = obstacle(row, machine)
        result.append(
            Listing(
                name=row.name,
                repository=row.repository,
                revision=row.revision,
                task=row.task.value,
                pipeline=row.pipeline,
                licence=row.licence,
                vram_gb=row.vram_gb,
                tier=tier(row),
                runnable_here=not reason,
                reason=reason,
            )
        )
    return result


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_processors(threads: int) -> None:
    """Give each of `threads` that work side by side its part of the processors, and of torch's own threads.

    Small networks gain little from several processors and wait for the slowest; side by side they keep all busy.
    """
    import torch

    torch.set_num_threads(max(1, processors() // threads))
