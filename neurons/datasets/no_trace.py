"""A folder for results that a refused run does not leave behind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from subnet.errors import SettingsError, SubnetError

HELD_OUT = "data"  # the folder in it that training and studies divide data into
MARK = ".study"  # in a folder of a study, from its first moment: what lies there may be replaced


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

    Results are files in `out` but MARK, and not in HELD_OUT. What was there before stays.
    """
    data, before, marked = out / HELD_OUT, _results(out), (out / MARK).exists()
    made = [folder for folder in (data, out / "weights", out, *out.parents) if not folder.exists()]
    try:
        yield
    except SubnetError:
        if _results(out) == before:
            if data in made:
                shutil.rmtree(data, ignore_errors=True)
            if not marked and out.is_dir():
                (out / MARK).unlink(missing_ok=True)
            for folder in made:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
        raise


def _results(out: Path) -> set[Path]:
    held, mark = out / HELD_OUT, out / MARK
    return {path for path in out.rglob("*") if path.is_file() and path != mark and not path.is_relative_to(held)}
