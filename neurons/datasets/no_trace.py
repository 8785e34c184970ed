"""A folder for results that a refused run does not leave behind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from subnet.errors import SettingsError, SubnetError

HELD_OUT = "data"  # the folder in it that training and studies divide data into


def make_folder(out: Path) -> None:
    """Make the folder of --out, and try to write there. Raises SettingsError."""
    if out.is_file():
        raise SettingsError(f"--out {out} is a file; name a folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out) as file:
            file.write(b"x")
    except OSError as error:
        raise SettingsError(f"--out {out}: cannot write there: {error.strerror}; name another folder") from error


@contextmanager
def no_trace(out: Path) -> Iterator[None]:
    """Where what is inside ends in a SubnetError before it wrote a result, the folders that it made go again.

    Results are files in `out` but not in HELD_OUT. What was there before stays.
    """
    data, before = out / HELD_OUT, _results(out)
    made = [folder for folder in (data, out / "weights", out, *out.parents) if not folder.exists()]
    try:
        yield
    except SubnetError:
        if _results(out) == before:
            if data in made:
                shutil.rmtree(data, ignore_errors=True)
            for folder in made:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
        raise


def _results(out: Path) -> set[Path]:
    held = out / HELD_OUT
    return {path for path in out.rglob("*") if path.is_file() and not path.is_relative_to(held)}
