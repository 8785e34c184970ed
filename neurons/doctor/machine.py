"""What `assay doctor` looks at on this machine: each check gives findings, and none of them changes anything."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

import psutil
from cyclopts import App, ArgumentCollection
from rich.markup import escape

from neurons.sources import UNATTENDED, odd_variables, unknown_variables

DISTRIBUTION = "assay-subnet"
LEAST_PYTHON = (3, 11)
GIGABYTE = 10**9
LEAST_DISK, ENOUGH_DISK = 2, 20  # GB free: to run at all, to fill a pool
MOVE = "ASSAY_HOME, or --state of the program"  # names the folder of state
LEAST_MEMORY = 3.5  # GB: a "4 GB" machine has a little less
LEAST_FILES = 1024  # open files


class Health(StrEnum):
    """`fail` keeps something from working, `warn` may or will matter later."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, how it is, and what would mend it."""

    check: str
    verdict: Health
    found: str
    fix: str = ""

    def facts(self) -> dict[str, str]:
        return {**asdict(self), "verdict": self.verdict.value}


SIGNS = {Health.OK: "[green]ok  [/]", Health.WARN: "[yellow]warn[/]", Health.FAIL: "[red]fail[/]"}


def line(finding: Finding) -> str:
    """A finding in the markup of rich."""
    fix = f"\n     [dim]{'':14}{escape(finding.fix)}[/]" if finding.fix else ""
    return f"{SIGNS[finding.verdict]} {finding.check:14}{escape(finding.found)}{fix}"


def versions() -> Iterator[Finding]:
    """What runs here."""
    key = ", ".join(f"{name} {metadata.version(name)}" for name in (DISTRIBUTION, "bittensor") if _has(name))
    yield Finding("versions", Health.OK, f"{key}, Python {platform.python_version()}")


def python() -> Iterator[Finding]:
    """The interpreter."""
    here = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    old = sys.version_info[:2] < LEAST_PYTHON
    fix = f"install Python {LEAST_PYTHON[0]}.{LEAST_PYTHON[1]} or newer" if old else ""
    yield Finding("python", Health.FAIL if old else Health.OK, here, fix)


def variables(app: App) -> Iterator[Finding]:
    """No variable ASSAY_* that no command of `app` reads; BT_* that are misspelt, or contradict each other."""
    programs: dict[tuple[str, ...], ArgumentCollection] = {
        (name,): app[name].assemble_argument_collection() for name in UNATTENDED
    }
    unknown = list(unknown_variables(app, programs))
    for found in unknown:
        yield Finding("variables", Health.FAIL, found, "correct its name, or unset it: no program starts with it")
    odd = sorted({found for each in programs.items() for found in odd_variables(*each)})
    for found in odd:
        yield Finding("variables", Health.WARN, found, "correct its name, or unset it")
    if not unknown and not odd:
        yield Finding("variables", Health.OK, "none that no program reads; see them all: assay config")


def packages(distribution: str = DISTRIBUTION) -> Iterator[Finding]:
    """Every dependency that `distribution` names is installed in a version it allows."""
    from packaging.requirements import Requirement

    try:
        required = [Requirement(line) for line in metadata.requires(distribution) or ()]
    except metadata.PackageNotFoundError:
        yield Finding("packages", Health.FAIL, f"{distribution} is not installed", "run: make setup")
        return
    wanted = [r for r in required if r.marker is None or r.marker.evaluate({"extra": ""})]
    wrong = []
    for requirement in wanted:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
    key = ", ".join(f"{name} {metadata.version(name)}" for name in ("bittensor", "torch", "diffusers") if _has(name))
    if wrong:
        yield Finding("packages", Health.FAIL, "; ".join(wrong), "run: make setup")
    else:
        yield Finding("packages", Health.OK, f"{len(wanted)} as required; {key}")


def _has(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def disk(folder: Path) -> Iterator[Finding]:
    """Room, and the right to write, where Assay keeps its state."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free / GIGABYTE
    found = f"{free:.0f} GB free under {folder}"
    if not existing.is_dir():
        yield Finding("disk", Health.FAIL, f"{existing} is no folder", f"choose a folder with {MOVE}")
    elif not os.access(existing, os.W_OK):
        yield Finding("disk", Health.FAIL, f"{existing} cannot be written", f"choose another folder with {MOVE}")
    elif free < LEAST_DISK:
        yield Finding("disk", Health.FAIL, found, f"free at least {LEAST_DISK} GB, or move the folder ({MOVE})")
    elif free < ENOUGH_DISK:
        yield Finding(
            "disk", Health.WARN, found, f"give the pool less with --pool.gigabytes, or move the folder ({MOVE})"
        )
    else:
        yield Finding("disk", Health.OK, found)


def machine() -> Iterator[Finding]:
    """Cores, memory, and how many files may be open."""
    cores, memory = os.cpu_count() or 1, psutil.virtual_memory().total / GIGABYTE
    found = f"{cores} cores, {memory:.1f} GB memory"
    low = memory < LEAST_MEMORY
    yield Finding("machine", Health.WARN if low else Health.OK, found, "4 GB are needed" if low else "")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files != resource.RLIM_INFINITY and files < LEAST_FILES:
        yield Finding("open files", Health.WARN, f"at most {files}", "run: ulimit -n 4096")


def graphics() -> Iterator[Finding]:
    """Graphics cards, and the token of the Hugging Face hub."""
    from generators.capability import probe

    found = probe()
    if found.gpus:
        cards = ", ".join(f"{size:.0f} GB" for size in found.gpus)
        yield Finding("gpu", Health.OK, f"{len(found.gpus)} card(s): {cards}")
    else:
        yield Finding(
            "gpu", Health.OK, "none: detectors and embedded generators run on the CPU; the catalog needs CUDA"
        )
    if found.token:
        yield Finding("hub token", Health.OK, "set")
    else:
        fix = "only gated models and sets need one: export HF_TOKEN, see https://huggingface.co/settings/tokens"
        yield Finding("hub token", Health.WARN, "not set", fix)
