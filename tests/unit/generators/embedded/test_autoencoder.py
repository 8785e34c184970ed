"""The autoencoder: shapes, its linear start, weights on disk, training that goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from generators.embedded import autoencoder, principal_components
from generators.embedded.autoencoder import CHANNELS, FACTOR, KINDS, Autoencoder
from generators.training.autoencoder import Recipe, Trainer, checkpoint, log_energy, loss
from generators.training.photos import centre, crop
from subnet.errors import CheckpointError


def smooth(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Pictures that a linear code can hold: coarse noise, enlarged."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(40, 215, (count, 3, side // 8, side // 8))).float()
    fine = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 255)
    return fine.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_shapes(kind: str) -> None:
    """Latents have a quarter of the side, decoders give the side back, for sides that are no powers of two."""
    model = Autoencoder()
    x_BCHW = torch.zeros(2, 3, 24, 40)
    z_BCHW = model.encode(x_BCHW)
    assert z_BCHW.shape == (2, CHANNELS, 24 // FACTOR, 40 // FACTOR)
    assert model.decode(z_BCHW, kind).shape == x_BCHW.shape


def test_unknown_decoder_is_named() -> None:
    """A decoder that is not there is refused by name."""
    with pytest.raises(ValueError, match="bilinear"):
        Autoencoder().decode(torch.zeros(1, CHANNELS, 4, 4), "bilinear")


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_pixels_survive_the_tensor(seed: int) -> None:
    """uint8 to tensor and back changes nothing."""
    pixels = np.random.default_rng(seed).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    assert np.array_equal(autoencoder.to_pixels(autoencoder.to_tensor(pixels)), pixels)


def test_linear_start_restores_pictures() -> None:
    """At the start the transposed and the shuffling decoder invert the encoder on what its components span."""
    torch.manual_seed(0)
    x_BCHW = autoencoder.to_tensor(smooth(8, 64))
    model = Autoencoder()
    principal_components.begin(model, x_BCHW)
    # the untrained remainder of the network must not be in the way: what counts is the linear path
    for kind in ("transposed", "shuffle"):
        error = (model.decode(model.encode(x_BCHW), kind) - x_BCHW).abs().mean()
        assert error < 0.05, kind
    error = (model.decode(model.encode(x_BCHW), "nearest") - x_BCHW).abs().mean()
    assert error < 0.2


def test_shipped_weights_load_and_reconstruct() -> None:
    """The weights in the package fit, are small, and every decoder gives a smooth picture back above 27 dB."""
    assert autoencoder.WEIGHTS.stat().st_size < 10 * 2**20
    model = autoencoder.load_autoencoder()
    assert not any(parameter.requires_grad for parameter in model.parameters())
    pixels = smooth(2, 64)
    with torch.inference_mode():
        z_BCHW = model.encode(autoencoder.to_tensor(pixels))
        for kind in KINDS:
            fake = autoencoder.to_pixels(model.decode(z_BCHW, kind)).astype(float)
            assert 10 * np.log10(255**2 / np.mean((fake - pixels) ** 2)) > 27, kind


def test_wrong_weights_are_refused(tmp_path: Path) -> None:
    """A missing, a damaged and a foreign file are each a CheckpointError that names the file."""
    missing, damaged, foreign = (tmp_path / f"{name}.safetensors" for name in ("missing", "damaged", "foreign"))
    damaged.write_bytes(b"\x00" * 64)
    save_file({"weight": torch.zeros(1)}, foreign)
    for path in (missing, damaged, foreign):
        with pytest.raises(CheckpointError, match=path.stem):
            autoencoder.load_autoencoder(path)


def test_save_and_load_round_trip(tmp_path: Path) -> None:
    """Weights read back are the weights written, and no partial file stays."""
    model = Autoencoder()
    path = tmp_path / "deep" / "weights.safetensors"
    autoencoder.save(model, path)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    again = autoencoder.load_autoencoder(path).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in model.state_dict().items())


def test_sharpness_is_part_of_the_loss() -> None:
    """Of two pictures with the same pixel error, the one whose texture has the right energy costs less."""
    source = torch.Generator().manual_seed(0)
    real = 0.2 * torch.randn(2, 3, 32, 32, generator=source)
    noise = 0.2 * torch.randn(2, 3, 32, 32, generator=source)
    recipe = Recipe(gradient=0.0, energy=0.2)
    flat, textured = torch.zeros_like(real), noise
    scale = real.abs().mean() / (textured - real).abs().mean()
    plain = (textured - real).abs().mean() * scale
    assert torch.isclose(plain, (flat - real).abs().mean())
    assert loss(textured, real, recipe) - (textured - real).abs().mean() < loss(flat, real, recipe) - real.abs().mean()
    assert log_energy(real).shape == (2, 1, 2, 2)


def test_training_learns_and_resumes(tmp_path: Path) -> None:
    """Steps lower the loss, and a run restored from disk takes the very step that the other would have taken."""
    pictures = list(smooth(4, 64))
    recipe = Recipe(batch=2, crop=32, minutes=60)
    start = autoencoder.to_tensor(smooth(4, 32))
    trainer = Trainer(recipe, start)
    for _ in range(2):
        trainer.advance(pictures)
    checkpoint(trainer, tmp_path)
    other = Trainer(recipe, start)
    other.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    assert (other.step, other.elapsed) == (trainer.step, trainer.elapsed)
    values = []
    for run in (trainer, other):
        torch.manual_seed(1)
        values.append(run.advance(pictures))
    assert values[0] == values[1]


@given(st.integers(8, 90), st.integers(8, 90), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_crops_have_the_size_asked_for(height: int, width: int, seed: int) -> None:
    """Crops of photographs of any size are square, and the same for the same seed."""
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    one, two = (crop(photo, 16, np.random.default_rng(seed)) for _ in range(2))
    assert one.shape == (16, 16, 3)
    assert np.array_equal(one, two)
    assert centre(photo, 32).shape == (32, 32, 3)
