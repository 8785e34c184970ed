"""A data set that is written below $ASSAY_HOME/data when it is first asked for, and read from then on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from subnet.media.dataset_folder import INDEX, IndexRow, write_index

Progress = Callable[[int], None]  # items written so far


def whole_folder(
    root: Path, name: str, rows: Callable[[Path], Iterable[IndexRow]], progress: Progress = lambda done: None
) -> Path:
    """The folder `name` below `root`, made now unless it is there; nobody ever reads it half made.

    `rows` writes the media into the folder that it is given. Of two processes that make the same one at once the first
    to finish is kept.
    """
    folder = root / name
    if (folder / INDEX).is_file():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".partial-", dir=root, ignore_cleanup_errors=True) as temporary:
        partial = Path(temporary) / name
        partial.mkdir()
        written = []
        for done, row in enumerate(rows(partial), 1):
            written.append(row)
            progress(done)
        write_index(partial, written)
        if not (folder / INDEX).is_file():
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
    return folder
