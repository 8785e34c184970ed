"""One validator and one miner per hotkey and subnet on this machine: two would fight over weights, or over the axon."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from neurons.log import Log
from subnet.files import hold, private_folder


def hold_hotkey(program: Literal["validator", "miner"], folder: Path, netuid: int, hotkey: str, log: Log) -> int | None:
    """The lock of a program in `folder`, by default $ASSAY_HOME, held until the given descriptor is closed.

    Raises StateError with the process that holds it. None, and a warning, where nothing can be kept in `folder`:
    whoever names another folder for the state may well have a home that is read-only.
    """
    path = folder / f"{'assay' if program == 'validator' else 'assay-miner'}-{netuid}-{hotkey}.lock"
    try:
        private_folder(path.parent)
        return hold(path, f"hotkey {hotkey} on subnet {netuid}", f"one {program} per hotkey; stop that one first")
    except OSError as error:
        log.warning(f"a second {program} of this hotkey would not be noticed", path=str(path), why=error.strerror)
        return None
