"""The file in the state folder with the secrets of a validator's epochs: who has it can foresee the rounds."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from subnet.errors import StateError
from subnet.files import private_file, write_atomically

SCHEMA = 1
SECRETS = "epochs.json"


class Epoch(BaseModel):
    """An epoch of the validator: secret and block hash in hex, the line on chain, and the block where it stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    secret: str
    line: str
    block: int | None = None
    block_hash: str | None = None  # of the block after it


class Kept(BaseModel):
    """What must survive. In the epoch that `stands` rounds may be played while it is `open`.

    `next` has its secret drawn; with `sent_at` it was sent when the head was that block, and may stand by now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = Field(default=SCHEMA, ge=1)
    stands: Epoch | None = None
    open: bool = False
    next: Epoch | None = None
    sent_at: int | None = None


class _Schema(BaseModel):
    """Which schema a file has whose fields may be those of a newer program."""

    model_config = ConfigDict(extra="ignore")

    schema_version: int = SCHEMA


def lines_of(state: Kept) -> frozenset[str]:
    """What may stand on chain by our own doing."""
    return frozenset(epoch.line for epoch in (state.stands, state.next) if epoch)


def kept(path: Path) -> Kept:
    """As `look`, and nobody else reads the file from then on."""
    try:
        if path.exists():
            private_file(path)
    except OSError as error:
        raise StateError(f"the secrets of epochs {path} cannot be read: {error.strerror}") from error
    return look(path)


def look(path: Path) -> Kept:
    """What lies there, nothing yet where there is no file. Raises StateError for a file that cannot be used."""
    try:
        if not path.exists():
            return Kept()
        data = path.read_bytes()
        schema = _Schema.model_validate_json(data).schema_version
        if schema > SCHEMA:
            raise StateError(f"{path} was written by a newer Assay (schema {schema}, this one knows {SCHEMA})")
        return Kept.model_validate_json(data)
    except OSError as error:
        raise StateError(f"the secrets of epochs {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StateError(
            f"{path} does not hold the secrets of epochs: restore a backup, or delete the file (the running epoch can "
            "then never be revealed)"
        ) from error


def keep(path: Path, state: Kept) -> None:
    """Write it whole, for its owner alone. Raises StateError where the disk refuses."""
    try:
        write_atomically(path, state.model_dump_json().encode(), mode=0o600)
    except OSError as error:
        raise StateError(f"the secrets of epochs {path} cannot be kept: {error.strerror}; free space there") from error
