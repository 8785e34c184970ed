"""The everyday pictures: what people meet, and no generator made; drawn files, changes of photographs, drawn pages.

`index.csv` has one row a file, as that of the embedded set, with the kind of picture for its category.
"""

from __future__ import annotations

from pathlib import Path

from subnet.media.embedded import Item, index_of, intact

EVERYDAY = "everyday"  # the exam, as people call it
RESAVED = "resaved"  # the kind of what is the same picture again, at another size and quality
KINDS = ("drawing", "game art", "map", "render", "screenshot")  # of the files
HERE = Path(__file__).parent


def items() -> tuple[Item, ...]:
    """The rows of the index, in its order."""
    return index_of(HERE)


def path(item: Item) -> Path:
    """Where the file of `item` lies."""
    return HERE / item.file


def verify() -> list[str]:
    """The ids of the items whose file is missing or is not the one that was indexed; empty when all is well."""
    return [item.id for item in items() if not intact(item, path(item))]
