"""Files as a whole: written so that no reader ever sees a part, kept from other users, held by one process, counted."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from subnet.errors import SettingsError, StateError

TEMPORARY = ".tmp-"


def home() -> Path:
    """Where Assay keeps state, pools, caches and fetched weights: $ASSAY_HOME, else ~/.assay.

    Raises SettingsError where the variable is empty: that would be the current folder.
    """
    name = os.environ.get("ASSAY_HOME", "~/.assay")
    if not name.strip():
        raise SettingsError("ASSAY_HOME is empty: name a folder, or leave the variable out")
    return Path(name).expanduser()


def write_atomically(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write, flush to disk, rename: `path` holds all of `data` or what it held before. A failure leaves no rest,
    and its OSError names `path`.

    `mode` are the permissions of a new file, before the umask.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError as error:
        error.filename = os.fspath(path)  # a write to a full disk names none
        raise
    finally:
        temporary.unlink(missing_ok=True)  # there only if it was not renamed
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def private_folder(path: Path) -> Path:
    """Make `path` a folder that only its owner enters, also where it exists, and give it back. Raises OSError.

    A folder of another user, or one that all users share (sticky, as /tmp), is left as it is.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = path.stat()
    if facts.st_uid == os.geteuid() and facts.st_mode & 0o077 and not facts.st_mode & stat.S_ISVTX:
        path.chmod(0o700)
    return path


@contextlib.contextmanager
def traceless(folder: Path, made: Iterable[str]) -> Iterator[None]:
    """Take `folder` away when the block ends, where it was not there before and holds but files of the patterns `made`.

    So a start that is refused leaves nothing behind that looks like the state of a program.
    """
    known, patterns = folder.exists(), tuple(made)
    try:
        yield
    finally:
        if not known and folder.is_dir() and all(any(map(path.match, patterns)) for path in folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)


def private_file(path: Path) -> Path:
    """Make `path` a file that only its owner reads, empty where there is none, and give it back. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NONBLOCK, 0o600)
    try:
        facts = os.fstat(handle)
        if facts.st_uid == os.geteuid() and facts.st_mode & 0o077:
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
    return path


def refuse_orphans(path: Path) -> None:
    """Raises StateError where logs of the SQLite file `path` lie there without it: with a new one they would be lost,
    or mixed with what is not theirs.
    """
    beside = [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal")]
    orphans = " and ".join(part.name for part in beside if part.exists())
    if orphans and not path.exists():
        fix = f"put {path.name} back beside it, or, if it is lost, move {orphans} away"
        raise StateError(f"{path} is missing, but {orphans} of it is there: {fix}")


def hold(path: Path, what: str, rule: str) -> int:
    """Make `path` the lock of this process on `what`, with its id inside, until the given descriptor is closed.

    Raises StateError where another process has it: who, and the `rule`. Raises OSError where no file can be made.
    """
    handle = os.open(private_file(path), os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise StateError(f"{what} is in use by the process {holder}: {rule}") from error
    os.ftruncate(handle, 0)
    os.write(handle, str(os.getpid()).encode())
    return handle


def walk(root: Path) -> Iterator[os.DirEntry[str]]:
    """Every file below `root`, links not followed; a folder that vanishes meanwhile is passed over."""
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from walk(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield entry
    except FileNotFoundError:
        return


def size_of(root: Path) -> int:
    """Bytes of all files below `root`; what vanishes meanwhile is not counted."""
    total = 0
    for entry in walk(root):
        try:
            total += entry.stat().st_size
        except FileNotFoundError:
            continue
    return total
