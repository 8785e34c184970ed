"""The files of the everyday pictures: what the index says is what lies there, with its rights, and small."""

from __future__ import annotations

from collections import Counter

from PIL import Image

from subnet.media import everyday
from subnet.media.embedded.build import read_choices
from tests.unit.subnet.media.embedded.test_embedded import REDISTRIBUTABLE

ITEMS = everyday.items()


def test_every_file_is_the_indexed_one() -> None:
    """Every row's file exists with the indexed SHA-256 and size, and no file lies there without a row; below 3 MB."""
    assert everyday.verify() == []
    stored = {str(path.relative_to(everyday.HERE)) for path in (everyday.HERE / "files").iterdir()}
    assert stored == {item.file for item in ITEMS}
    for item in ITEMS:
        with Image.open(everyday.path(item)) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (item.width, item.height)), item.id
        assert 200 <= min(item.width, item.height) <= 320, item.id
    assert sum(everyday.path(item).stat().st_size for item in ITEMS) < 3e6


def test_twenty_of_each_kind() -> None:
    """As many of each, so that their intervals are as wide; each shows something else."""
    assert Counter(item.category for item in ITEMS) == dict.fromkeys(everyday.KINDS, 20)
    assert len({item.source for item in ITEMS}) == len(ITEMS)


def test_every_file_has_its_rights() -> None:
    """Title, author, origin, and a licence that allows passing the file on."""
    for item in ITEMS:
        assert item.title, item.id
        assert item.author, item.id
        assert item.origin.startswith("Debian "), item.id
        assert item.licence in REDISTRIBUTABLE, item.id


def test_index_is_what_the_curated_table_says() -> None:
    """Sources and kinds of the index follow from the table alone."""
    choices = read_choices(everyday.HERE / "selection.csv")
    assert {item.source: item.category for item in ITEMS} == {choice.source: choice.category for choice in choices}
