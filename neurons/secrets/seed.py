"""The secret seed of a validator or producer: in a file that only its owner reads, never on a command line for long.

A command line shows in `ps` to every user of the machine; hence `--seed_file`, and a seed that is drawn once and kept.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from subnet.errors import SettingsError, StateError
from subnet.files import private_file, private_folder, write_atomically


def choose_seed(seed: int | None, file: Path | None, folder: Path) -> int:
    """The seed that was given, else the one kept in `folder`. Raises as `given_seed` and `kept_seed` do."""
    given = given_seed(seed, file)
    return kept_seed(folder) if given is None else given


def given_seed(seed: int | None, file: Path | None) -> int | None:
    """The seed of `--seed`, else the one in `--seed_file`, None without either.

    Raises SettingsError for both flags at once, or a file that holds no number.
    """
    if seed is not None and file is not None:
        raise SettingsError("--seed and --seed_file: give one of them")
    return seed if file is None else read_seed(file)


def read_seed(file: Path) -> int:
    """The number in `file`. Raises SettingsError where there is none."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"--seed_file {file}: {error}") from error
    if not text.isdecimal():
        raise SettingsError(f"--seed_file {file} should hold one whole number and nothing else")
    return int(text)


def kept_seed(folder: Path) -> int:
    """128 secret bits in `folder`/seed. Raises StateError where the file does not hold a number or cannot be kept."""
    path = folder / "seed"
    try:
        private_folder(folder)
        if not path.exists():
            write_atomically(path, f"{secrets.randbits(128)}\n".encode(), mode=0o600)
        text = private_file(path).read_text(errors="replace").strip()
    except OSError as error:
        raise StateError(f"the secret seed {path} cannot be kept: {error.strerror}") from error
    if not text.isdecimal():
        raise StateError(
            f"the secret seed {path} holds no number: delete the file to draw a new one (past challenges cannot be "
            "made again without the old one)"
        )
    return int(text)


@contextmanager
def own_folder(parent: Path) -> Iterator[Path]:
    """A folder of `parent` for one process: the first of 0, 1, 2... that no other holds, and only its owner enters.

    So each of several that run side by side keeps a seed of its own, and the next run finds the first one's again.
    Raises StateError where it cannot be kept.
    """
    for number in range(1000):
        folder = parent / str(number)
        try:
            handle = os.open(private_folder(folder) / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StateError(f"the state folder {folder} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        try:
            yield folder
        finally:
            os.close(handle)
        return
    raise StateError(f"the state folder {parent} is held a thousand times: end some of the programs that hold it")
