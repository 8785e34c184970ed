"""JPEG files tell at which quality they were written, and mostly whether they were JPEG before."""

from __future__ import annotations

import pytest

from neurons.provenance.clue import State
from neurons.provenance.jpeg_history import quality_of, scaled_table, steps, twice
from neurons.provenance.metadata import metadata
from subnet.codec.image_header import read_header
from tests.unit.neurons.provenance.pictures import fresh, jpeg, photograph, saved


def told_twice(data: bytes) -> State:
    return twice(read_header(data).body, metadata(data).tables).state


@pytest.mark.parametrize("quality", [20, 50, 75, 90, 95])
def test_the_quality_is_read_off_the_steps(quality: int) -> None:
    """The tables of the common library are known exactly, whatever is in the picture."""
    tables = metadata(jpeg(photograph(), quality)).tables
    assert tables[0] == scaled_table(quality)
    assert quality_of(tables[0]) == (quality, True)
    assert f"quality {quality} of 100" in steps(tables).says


def test_tables_of_ones_own_are_told_by_the_nearest() -> None:
    """A camera's table is none of the library's: the sentence says so."""
    table = tuple(step + at % 3 for at, step in enumerate(scaled_table(85)))
    quality, exact = quality_of(table)
    assert not exact
    assert 78 <= quality <= 88
    assert "tables of its own" in steps((table,)).says


@pytest.mark.parametrize(("first", "second"), [(60, 90), (75, 90), (70, 85), (85, 95), (50, 75)])
def test_a_coarser_first_saving_is_found(first: int, second: int) -> None:
    """Saved at a lower quality first and on the same grid."""
    for number in range(4):
        frame = fresh(photograph(number))
        assert told_twice(jpeg(frame, first, second)) is State.FOUND


@pytest.mark.parametrize("quality", [50, 75, 90, 95])
def test_a_single_saving_is_not_accused(quality: int) -> None:
    """Once from pixels without a history."""
    for number in range(4):
        assert told_twice(jpeg(fresh(photograph(number)), quality)) is not State.FOUND


def test_what_is_no_jpeg_and_what_is_flat() -> None:
    """A PNG has no steps; a JPEG without detail cannot be told."""
    assert twice(b"", ()).state is State.NOTHING
    assert steps(()).state is State.NOTHING
    flat = saved(photograph()[:64, :64] * 0 + 90, quality=90)
    assert told_twice(flat) is State.NOT_READ
