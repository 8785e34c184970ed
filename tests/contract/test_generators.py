"""What every row of the table of generators must keep to, found by the table alone."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

import generators
from generators.capability import Machine, listing, obstacle
from generators.catalog import CATALOG, pipelines
from generators.rows import GeneratorRow, Task
from subnet.errors import SettingsError, UnknownName
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.pool.producer import flaw
from subnet.registry import resolve
from subnet.types import Label, Modality, Split

ROWS = [pytest.param(row, id=row.name) for row in generators.TABLE.values()]
EMBEDDED = [pytest.param(row, id=row.name) for row in generators.TABLE.values() if row.embedded]
NUMPY_2 = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"


@pytest.mark.parametrize("row", ROWS)
def test_a_row_says_what_it_is(row: GeneratorRow) -> None:
    """Task and modality agree, the target resolves to a factory of the agreed form, the pipeline class exists."""
    assert row.name == row.name.strip().lower()
    assert row.licence
    assert row.family
    assert row.sizes
    if row.task in {Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE}:
        assert row.modality is Modality.IMAGE
    if row.task is Task.TEXT_TO_VIDEO:
        assert row.modality is Modality.VIDEO
    factory = inspect.signature(resolve(row.target)).parameters
    assert {"device", "reals"} <= set(factory)
    if row.pipeline:
        pipelines.pipeline_class(row.pipeline)
    if row.embedded:
        assert row.vram_gb == 0
        assert not row.gated
    elif "folder" not in row.options:  # which ships, and makes what the embedded data sets do not hold
        assert row.repository
        assert row.revision


def test_the_whole_catalog_is_in_the_table() -> None:
    """Every large model can be loaded by name, beside the embedded ones, and a wrong name gets a suggestion."""
    assert set(CATALOG) <= set(generators.TABLE)
    with pytest.raises(UnknownName, match="did you mean sdxl"):
        generators.load_generator("sdxll")


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in CATALOG.values()])
def test_a_large_model_is_refused_on_a_cpu_with_the_reason(row: GeneratorRow) -> None:
    """Nothing is fetched for a row this device cannot run: the message names the row and what it needs."""
    with pytest.raises(SettingsError, match=row.name):
        generators.load_generator(row.name, device="cpu", reals=EmbeddedSource(Split.TEST))


def test_the_listing_is_plain_json(tmp_path: Path) -> None:
    """Lines of the listing survive JSON; rows that ship run anywhere, even on an empty machine."""
    bare = Machine(gpus=(), ram_gb=1, disk_gb=0, token=False, cache=tmp_path)
    lines = [line.to_json() for line in listing(generators.TABLE.values(), bare)]
    assert json.loads(json.dumps(lines)) == lines
    runnable = {line["name"] for line in lines if line["runnable_here"]}
    assert runnable == {row.name for row in generators.TABLE.values() if row.embedded or "folder" in row.options}
    assert all(obstacle(row, bare) for row in CATALOG.values())


@pytest.mark.parametrize("row", EMBEDDED)
@pytest.mark.filterwarnings(NUMPY_2)
def test_an_embedded_generator_works_here(row: GeneratorRow) -> None:
    """One usable sample of the agreed size on a CPU, with its history, and the same again for the same randomness."""
    generator = generators.load_generator(row.name, reals=EmbeddedSource(Split.TEST))
    first, again = (generator.generate(["a red boat on a lake"], np.random.default_rng(3))[0] for _ in range(2))
    assert first.label is Label.SYNTHETIC
    assert first.modality is generator.modality is row.modality
    assert first.media.frames.shape[1:] == (256, 256, 3)
    assert flaw(first.media) is None
    assert first.provenance.model == row.name
    assert first.provenance.seed is not None
    assert np.array_equal(first.media.frames, again.media.frames)
    assert first.provenance == again.provenance
