"""The secret seed of a validator or producer: drawn once, kept in a file that only its owner reads."""

from __future__ import annotations

import secrets
from pathlib import Path

from subnet.errors import StateError
from subnet.files import write_atomically


def kept_seed(folder: Path) -> int:
    """128 secret bits in `folder`/seed. Raises StateError where the file does not hold a number or cannot be kept."""
    path = folder / "seed"
    try:
        if not path.exists():
            write_atomically(path, f"{secrets.randbits(128)}\n".encode(), mode=0o600)
        text = path.read_text().strip()
    except OSError as error:
        raise StateError(f"the secret seed {path} cannot be kept: {error.strerror}") from error
    if not text.isdecimal():
        raise StateError(
            f"the secret seed {path} holds no number: delete the file to draw a new one (past challenges cannot be "
            "made again without the old one)"
        )
    return int(text)
