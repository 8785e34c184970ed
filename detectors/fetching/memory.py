"""Whether a machine can hold a row's network, told before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import psutil

from detectors.rows import DetectorRow
from subnet.errors import SettingsError

FLOAT: Final = 4  # bytes
AROUND: Final = 500_000_000  # bytes for the activations of a batch and what libraries take, estimated


def needed(row: DetectorRow, device: str) -> int:
    """Bytes on `device` while a row is loaded and judges, estimated from its parameters.

    On a CPU the file and the network are there at the same time; a card holds the network alone.
    """
    network = FLOAT * (row.embedded_parameters or row.parameters)
    on_disk = sum(origin.size for origin in row.files) or network
    return AROUND + network + (0 if device.startswith("cuda") else on_disk)


def free(device: str) -> int:
    """Bytes that are free on a CPU's machine or on a card."""
    if not device.startswith("cuda"):
        return int(psutil.virtual_memory().available)
    import torch

    return int(torch.cuda.mem_get_info(torch.device(device))[0])


def refuse_if_too_large(row: DetectorRow, rows: Iterable[DetectorRow], device: str, available: int) -> None:
    """Raises SettingsError naming the next of `rows` that fits into `available` bytes, as the table has them.

    Those whose weights are fetched come before those that ship.
    """
    need = needed(row, device)
    if need <= available:
        return
    others = [other for other in rows if other.modality is row.modality and (other.files or other.weights)]
    fitting = [other for other in others if needed(other, device) <= available]
    best = next(iter(sorted(fitting, key=lambda other: not other.files)), None)
    next_best = f"take {best.name} ({needed(best, device) / 1e9:.1f} GB)" if best else "no other row fits either"
    cpu = ", or --device cpu" if device.startswith("cuda") else ""
    raise SettingsError(
        f"--device {device}: {row.name} needs about {need / 1e9:.1f} GB of memory and {available / 1e9:.1f} GB are "
        f"free: {next_best}{cpu}"
    )
