"""`python -m neurons` is `assay`, and `python -m neurons.miner` is `assay miner`."""

from __future__ import annotations

import os
import signal
import sys

from subnet.lifetime import INTERRUPTED, end_soon, leave


def start(*words: str) -> None:
    """Run `assay` with `words` before those of the command line. Ctrl-C ends it within two seconds, at any moment."""
    handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not so below nohup
    if handled:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # while there is nothing to close
    from neurons.cli import main

    if handled:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        main([*words, *sys.argv[1:]])
        leave(0)
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else 1)
        raise
    finally:
        if sys.unraisablehook is _lost:
            leave(INTERRUPTED)  # whatever an import makes of an interrupt: ImportError, RuntimeError of a class's name


def _interrupt(*_: object) -> None:
    end_soon(INTERRUPTED)
    sys.unraisablehook = _lost
    raise KeyboardInterrupt


def _lost(error: sys.UnraisableHookArgs) -> None:
    """The interrupt came up in a callback, as imports have many, and nobody can catch it there."""
    if error.exc_type is KeyboardInterrupt:
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    start()
