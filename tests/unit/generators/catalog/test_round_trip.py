"""Autoencoders of public models: twins through small ones with random weights, in the layouts that the hub has."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import generators
from generators.capability import Machine, obstacle
from generators.catalog import CATALOG
from generators.catalog.round_trip import RoundTrip, load_round_trip
from generators.catalog.vaes import VAE_ROWS
from generators.rows import GeneratorRow
from subnet.errors import CheckpointError, GenerationError, SettingsError
from subnet.media.embedded.source import EmbeddedSource
from subnet.types import Label, Media, Modality, Provenance, Sample, Split
from tests.unit.generators.tiny_networks import vae

ROWS = {row.name: row for row in VAE_ROWS}
FETCHED = [pytest.param(row, id=row.name) for row in VAE_ROWS if row.repository]
CHANNELS = {"vae-sd15": 4, "vae-sdxl": 4, "vae-sd35": 16, "vae-flux": 16}
RNG = np.random.default_rng(0)


def wan(**changes: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"base_dim": 8, "z_dim": 4, "dim_mult": [1, 2, 2, 2], "num_res_blocks": 1}
    return diffusers.AutoencoderKLWan(**sizes, latents_mean=[0.0] * 4, latents_std=[1.0] * 4, **changes)


def on_disk(row: GeneratorRow, folder: Path) -> GeneratorRow:
    """The row with a folder for its repository, which holds a small model of its class where the hub has it."""
    model = wan() if row.modality is Modality.VIDEO else vae(CHANNELS[row.name])
    model.save_pretrained(folder / str(row.options["subfolder"]))
    return replace(row, repository=str(folder))


def real(frames: int, height: int, width: int) -> Sample:
    y, x, t = np.mgrid[:height, :width, :frames]
    ramp = np.stack([x + 3 * t, y + 2 * t, x + y], axis=-1).transpose(2, 0, 1, 3) % 256
    media = Media(ramp.astype(np.uint8), None if frames == 1 else 25.0)
    return Sample(media, Label.REAL, Provenance("album", "ramp", "CC0", parameters={"split": "train"}))


@pytest.mark.parametrize("row", FETCHED)
def test_twins_come_through_the_layout_of_the_hub(row: GeneratorRow, tmp_path: Path) -> None:
    """A picture or clip of odd size comes back as large, synthetic, with its original's story and the row's commit."""
    maker = load_round_trip(on_disk(row, tmp_path))
    original = real(1, 45, 70) if row.modality is Modality.IMAGE else real(6, 35, 52)
    twin, again = (maker.reconstruct(original, RNG) for _ in range(2))
    assert twin.media.frames.shape == original.media.frames.shape
    assert (twin.media.frames == again.media.frames).all()
    assert (twin.media.frames != original.media.frames).any()
    about = twin.provenance
    assert (twin.label, about.source, about.item, about.model) == (Label.SYNTHETIC, "album", "ramp", row.name)
    assert about.licence == f"CC0; {row.licence}"
    assert about.parameters["revision"] == row.revision


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in VAE_ROWS])
def test_a_row_is_complete(row: GeneratorRow) -> None:
    """What is fetched is pinned to a commit that the rest of the catalog knows or confirms; gates are named."""
    assert row.repository == "" or re.fullmatch(r"[0-9a-f]{40}", row.revision)
    assert row.family
    assert row.licence
    assert not row.embedded  # the embedded data sets, which weights were trained on, stay what they are
    known = {each.repository: each for each in CATALOG.values()}
    if row.repository in known:
        assert (row.revision, row.gated) == (known[row.repository].revision, known[row.repository].gated)
    stranger = Machine(gpus=(), ram_gb=8, disk_gb=50, token=False, cache=Path("/nowhere"))
    assert ("gated" in obstacle(row, stranger)) == row.gated


def test_the_tiny_one_makes_twins_here() -> None:
    """By its name, with weights that ship: a twin near its photograph, and not the same."""
    maker = generators.load_generator("vae-tiny", reals=EmbeddedSource(Split.VALIDATION))
    assert isinstance(maker, RoundTrip)
    photo = EmbeddedSource(Split.TRAIN).draw(Modality.IMAGE, Label.REAL, np.random.default_rng(3))
    twin = maker.reconstruct(photo, RNG)
    error = np.abs(twin.media.frames.astype(int) - photo.media.frames).mean()
    assert 0 < error < 20
    (drawn,) = maker.generate([""], np.random.default_rng(1))
    assert drawn.provenance.model == "vae-tiny"


def test_long_sides_are_worked_on_in_tiles(tmp_path: Path) -> None:
    """Above the row's limit pictures go through in tiles, and come back whole."""
    row = on_disk(ROWS["vae-sdxl"], tmp_path)
    maker = load_round_trip(replace(row, options={**row.options, "tiling": 48}))
    for side, tiled in ((40, False), (64, True)):
        assert maker.reconstruct(real(1, side, side), RNG).media.frames.shape == (1, side, side, 3)
        assert maker._model.use_tiling is tiled


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    """A clip for an autoencoder of pictures, no source, missing files, broken weights: each with its own words."""
    row = on_disk(ROWS["vae-sd15"], tmp_path)
    maker = load_round_trip(row)
    with pytest.raises(GenerationError, match="works on images, not on a video"):
        maker.reconstruct(real(4, 32, 32), RNG)
    with pytest.raises(SettingsError, match="load it with reals"):
        maker.generate([""], RNG)
    with pytest.raises(CheckpointError, match="nowhere is missing"):
        load_round_trip(replace(ROWS["vae-tiny"], options={"folder": "nowhere"}))
    (weights,) = (tmp_path / "vae").glob("*.safetensors")
    weights.unlink()  # and not written over: the loaded model reads it where it lies
    weights.write_bytes(b"cut off")
    with pytest.raises(GenerationError, match="does not load"):
        load_round_trip(row)
    for parameter in maker._model.parameters():
        parameter.fill_(float("nan"))
    with pytest.raises(GenerationError, match="not finite"):
        maker.reconstruct(real(1, 32, 32), RNG)
