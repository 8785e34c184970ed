"""Bringing a row's files: from the Hugging Face hub through its own client, from GitHub over https.

A file counts as fetched when all of it is here, its sha256 is the expected one, and its tensors have the layout that
the row's network knows; before that nothing of it is kept.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import httpx2

from detectors.checkpoints import sha256_of
from detectors.fetching import store
from detectors.rows import DetectorRow, Origin
from subnet.errors import CheckpointError
from subnet.files import hold, home

GITHUB: Final = "https://raw.githubusercontent.com"
TIMEOUT: Final = 60.0  # seconds without a byte
CHUNK: Final = 1 << 20

Check = Callable[[Sequence[Path]], None]


def fetch(row: DetectorRow, check: Check, *, github: str = GITHUB) -> list[Path]:
    """Bring all files of a row and keep them; `check` raises CheckpointError for tensors of another layout.

    Files that are here already are brought again only where their sha256 is not the expected one. What a transfer that
    broke off has brought waits in weights/.fetch for the next one. Raises CheckpointError saying what to do,
    StateError where another process fetches the row, OSError.
    """
    folder = home() / "weights" / ".fetch" / row.name
    folder.mkdir(parents=True, exist_ok=True)
    held = hold(folder / "lock", f"the fetch of {row.name}", "wait for its end, or end it")
    try:
        waiting = [_bring(row, origin, folder, github) for origin in row.files]
        try:
            digests = _accepted(row, waiting, check)
        except CheckpointError:
            shutil.rmtree(folder)  # bytes that are not taken are not gone on with
            raise
        for origin, path, digest in zip(row.files, waiting, digests, strict=True):
            store.remember(origin, digest)
            store.place(row, origin).parent.mkdir(parents=True, exist_ok=True)
            if path != store.place(row, origin):
                shutil.move(path, store.place(row, origin))
        shutil.rmtree(folder)
    finally:
        os.close(held)
    return [store.place(row, origin) for origin in row.files]


def _accepted(row: DetectorRow, files: Sequence[Path], check: Check) -> list[str]:
    """The sha256 of each file. Raises CheckpointError for other bytes than expected, and for another layout."""
    digests = [sha256_of(path) for path in files]
    for origin, digest in zip(row.files, digests, strict=True):
        store.hold_to(origin, digest)
    try:
        check(files)
    except CheckpointError as error:
        where = ", ".join(origin.address for origin in row.files)
        raise CheckpointError(
            f"weights: {where} has another layout than {row.name} knows, and was not kept: {error}"
        ) from error
    return digests


def _bring(row: DetectorRow, origin: Origin, folder: Path, github: str) -> Path:
    kept = store.place(row, origin)
    if kept.is_file() and sha256_of(kept) == (store.expected(origin) or sha256_of(kept)):
        return kept
    return _from_hub(row, origin, folder) if origin.host == "hub" else _from_github(row, origin, folder, github)


def _from_hub(row: DetectorRow, origin: Origin, folder: Path) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository = origin.repository
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        path = hf_hub_download(
            repository, origin.file, revision=origin.revision, cache_dir=folder / "hub", endpoint=endpoint
        )
    except GatedRepoError as error:
        raise CheckpointError(
            f"weights: {repository} is gated: accept its conditions on its page, and give a token in HF_TOKEN"
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(f"weights: {repository} is gone from the hub, or private: {_moved(row)}") from error
    except (RevisionNotFoundError, EntryNotFoundError) as error:
        if isinstance(error, LocalEntryNotFoundError):
            raise CheckpointError(_unreachable(row, endpoint or "huggingface.co", error.__cause__ or error)) from error
        raise CheckpointError(
            f"weights: {repository} no longer has {origin.file} at {origin.revision[:12]}: {_moved(row)}"
        ) from error
    except HfHubHTTPError as error:
        raise CheckpointError(f"weights: the hub refuses {origin.address}: {error}") from error
    except (httpx2.HTTPError, ConnectionError) as error:
        raise CheckpointError(_broken_off(origin.address, error)) from error
    return Path(path).resolve()


def _from_github(row: DetectorRow, origin: Origin, folder: Path, github: str) -> Path:
    address = f"{github.rstrip('/')}/{origin.repository}/{origin.revision}/{origin.file}"
    path = folder / origin.name
    try:
        with httpx2.stream("GET", address, timeout=TIMEOUT, follow_redirects=True) as answer, path.open("wb") as file:
            if answer.status_code in (401, 403, 404, 410, 451):
                raise CheckpointError(
                    f"weights: {address} answers {answer.status_code}: moved, or closed; {_moved(row)}"
                )
            answer.raise_for_status()
            for chunk in answer.iter_bytes(CHUNK):
                file.write(chunk)
    except httpx2.HTTPStatusError as error:
        raise CheckpointError(f"weights: {address} answers {error.response.status_code}: try again later") from error
    except httpx2.ConnectError as error:
        raise CheckpointError(_unreachable(row, address, error)) from error
    except httpx2.HTTPError as error:
        raise CheckpointError(_broken_off(address, error)) from error
    return path


def _moved(row: DetectorRow) -> str:
    return f"look where it went, and give the file by its path: --detector {row.name}=FILE"


def _broken_off(what: str, error: BaseException) -> str:
    return f"weights: the transfer of {what} broke off ({type(error).__name__}: {error}): fetch again, it goes on"


def _unreachable(row: DetectorRow, where: str, error: BaseException) -> str:
    return (
        f"weights: {where} cannot be reached ({type(error).__name__}: {error}): check the network, or fetch the files "
        f"on another machine and give them by their path: --detector {row.name}=FILE"
    )
