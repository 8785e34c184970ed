"""One validator per hotkey and subnet on this machine, whatever folders it has: two would fight over weights."""

from __future__ import annotations

from neurons import settings as s
from neurons.log import Log
from subnet.files import hold, private_folder


def hold_hotkey(netuid: int, hotkey: str, log: Log) -> int | None:
    """The lock of a validator below $ASSAY_HOME, held until the given descriptor is closed.

    Raises StateError with the process that holds it. None, and a warning, where nothing can be kept below $ASSAY_HOME:
    whoever names another folder for the state may well have a home that is read-only.
    """
    path = s.home() / f"assay-{netuid}-{hotkey}.lock"
    try:
        private_folder(path.parent)
        return hold(path, f"hotkey {hotkey} on subnet {netuid}", "one validator per hotkey; stop that one first")
    except OSError as error:
        log.warning("a second validator of this hotkey would not be noticed", path=str(path), why=error.strerror)
        return None
