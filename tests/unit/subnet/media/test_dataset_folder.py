"""The one writer of a data set's index, and what reads it."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from detectors.dataset.items import read_folder
from subnet.media.dataset_folder import EPOCH, INDEX, IndexRow, index_row, write_index, write_media
from subnet.types import Label, Modality, Provenance
from tests.places import ROOT

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
ROWS = st.builds(
    IndexRow,
    file=st.integers(0, 10**6).map("{:06d}.png".format),
    label=st.sampled_from([0, 1]),
    modality=st.sampled_from(["image", "video"]),
    origin=TEXT,
    pair=TEXT | st.just(""),
    seed=st.none() | st.integers(0, 2**53),
    licence=TEXT,
    item=TEXT | st.just(""),
)


@given(st.lists(ROWS, min_size=1, max_size=5))
def test_what_is_written_is_what_detectors_read(rows: list[IndexRow]) -> None:
    """Every field comes back, whatever letters it holds, in the order of the rows.

    An item that names neither its content nor a twin is named by its file.
    """
    with TemporaryDirectory() as name:
        root = Path(name).resolve()
        write_index(root, rows)
        items = read_folder(root)
        assert [path.name for path in root.iterdir()] == [INDEX]
    assert [item.path for item in items] == [root / row.file for row in rows]
    assert [
        IndexRow(row.file, int(i.label), str(i.modality), i.origin, i.pair, i.seed, i.licence, i.item)
        for row, i in zip(rows, items, strict=True)
    ] == [row if row.item or row.pair else replace(row, item=row.file.removesuffix(".png")) for row in rows]


def test_times_tell_nothing(tmp_path: Path) -> None:
    """All media files carry one time, in folders that are made as needed; a row takes its facts from provenance."""
    for file in ("real/photos/a.png", "fake/gan/b.png"):
        write_media(tmp_path, file, b"pixels")
        assert (tmp_path / file).read_bytes() == b"pixels"
        assert (tmp_path / file).stat().st_mtime == EPOCH
    about = Provenance("photos", "cat-1", "CC0-1.0", "gan", None, 7)
    row = index_row("fake/gan/b.png", Label.SYNTHETIC, Modality.IMAGE, "gan", "p", about)
    write_index(tmp_path, [row, replace(row, enlarge=True)])
    line, enlarged = map(json.loads, (tmp_path / INDEX).read_text().splitlines())
    assert enlarged == {**line, "enlarge": True}
    assert line == {
        "file": "fake/gan/b.png",
        "label": 1,
        "modality": "image",
        "origin": "gan",
        "pair": "p",
        "seed": 7,
        "licence": "CC0-1.0",
        "item": "cat-1",
    }


def test_one_place_writes_the_index() -> None:
    """The file's name stands in the code of its writer and of its reader, and nowhere else."""
    places = set()
    for package in ("neurons", "subnet", "detectors", "generators"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and node.value == INDEX:
                    places.add(path.relative_to(ROOT).as_posix())
    assert places == {"subnet/media/dataset_folder.py", "detectors/dataset/items.py"}
