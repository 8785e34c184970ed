"""The generators that ship with the package: twins of real media with full provenance, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import generators
from generators.embedded.clips import mixed, path, trembling
from generators.embedded.twins import Twin
from generators.rows import Task
from subnet.errors import GenerationError, SettingsError, UnknownName
from subnet.media.embedded.source import EmbeddedSource
from subnet.types import Label, Media, Modality, Provenance, Sample, Split

TWINS = [row.name for row in generators.EMBEDDED if row.task is Task.RECONSTRUCT]
PICTURES = [name for name in TWINS if generators.TABLE[name].modality is Modality.IMAGE]
CLIPS = [name for name in TWINS if generators.TABLE[name].modality is Modality.VIDEO]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors are slower on many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def twin(name: str) -> Twin:
    made = generators.load_generator(name, reals=EmbeddedSource(Split.VALIDATION))
    assert isinstance(made, Twin)
    return made


def sample(frames: int = 1, height: int = 64, width: int = 64) -> Sample:
    """A real sample with content: a moving colour ramp."""
    y, x, t = np.mgrid[:height, :width, :frames]
    ramp = np.stack([x + 3 * t, y + 2 * t, x + y], axis=-1).transpose(2, 0, 1, 3) % 256
    media = Media(ramp.astype(np.uint8), None if frames == 1 else 25.0)
    return Sample(media, Label.REAL, Provenance("album", "ramp", "CC0", parameters={"split": "train"}))


def for_row(name: str) -> Sample:
    return sample() if name in PICTURES else sample(frames=6)


@pytest.mark.parametrize("name", TWINS)
def test_twin_has_the_shape_and_the_story_of_its_real(name: str) -> None:
    """A twin has its original's size, rate, source, item and licence, and names its model, seed and parameters."""
    real = for_row(name)
    fake = twin(name).reconstruct(real, np.random.default_rng(0))
    assert fake.label is Label.SYNTHETIC
    assert fake.media.frames.shape == real.media.frames.shape
    assert fake.media.fps == real.media.fps
    about = fake.provenance
    assert (about.source, about.item, about.licence) == ("album", "ramp", "CC0")
    assert about.model == name
    assert about.seed is not None
    assert about.parameters["split"] == "train"
    assert set(generators.TABLE[name].ranges) <= set(about.parameters)
    assert about.parameters["decoder"] in ("transposed", "nearest", "shuffle")


@pytest.mark.parametrize("name", TWINS)
def test_same_seed_same_twin(name: str) -> None:
    """A twin is a function of the sample and the randomness alone, and another seed gives another."""
    generator, real = twin(name), for_row(name)
    one, two, other = (generator.reconstruct(real, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(one.media.frames, two.media.frames)
    assert one.provenance == two.provenance
    assert not np.array_equal(one.media.frames, other.media.frames)


@pytest.mark.parametrize("name", PICTURES)
def test_sides_that_do_not_divide(name: str) -> None:
    """Pictures whose sides are no multiple of four keep their size."""
    fake = twin(name).reconstruct(sample(height=33, width=50), np.random.default_rng(0))
    assert fake.media.frames.shape == (1, 33, 50, 3)


@pytest.mark.parametrize("name", PICTURES)
def test_content_is_kept(name: str) -> None:
    """A twin of a photograph of the embedded set differs from it, but little: over 25 dB."""
    generator = twin(name)
    real = EmbeddedSource(Split.VALIDATION).draw(Modality.IMAGE, Label.REAL, np.random.default_rng(2))
    fake = generator.reconstruct(real, np.random.default_rng(3))
    error = np.mean((fake.media.frames.astype(float) - real.media.frames) ** 2)
    assert 0 < error < 255**2 / 10**2.5


def test_generate_draws_reals() -> None:
    """One sample per prompt, each of a photograph of the source's split."""
    fakes = twin("ae-shuffle").generate(["", "anything"], np.random.default_rng(1))
    assert len(fakes) == 2
    assert all(fake.media.frames.shape == (1, 256, 256, 3) for fake in fakes)
    assert {fake.provenance.parameters["split"] for fake in fakes} == {"validation"}


def test_no_source_is_told_in_words() -> None:
    """Without reals to draw from, generate says what to give; reconstruct needs none."""
    generator = generators.load_generator("ae-nearest")
    with pytest.raises(SettingsError, match="reals="):
        generator.generate(["x"], np.random.default_rng(0))


@pytest.mark.parametrize(("name", "frames"), [("ae-nearest", 4), ("video-jitter", 1)])
def test_wrong_modality_is_refused(name: str, frames: int) -> None:
    """A clip for a picture generator, or the other way round, is refused by name."""
    with pytest.raises(GenerationError, match=name):
        twin(name).reconstruct(sample(frames=frames), np.random.default_rng(0))


@pytest.mark.parametrize("name", CLIPS)
def test_clips_move(name: str) -> None:
    """Successive frames of a synthetic clip differ."""
    frames = twin(name).reconstruct(sample(frames=5), np.random.default_rng(0)).media.frames.astype(int)
    assert (np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3)) > 0).all()


def test_jitter_remembers() -> None:
    """The noise of a clip has unit variance, and neighbours correlate as strongly as its memory says."""
    noise = trembling(torch.zeros(40, 8, 16, 16), 0.8, seed=0)
    assert abs(float(noise.std()) - 1) < 0.05
    assert abs(float((noise[1:] * noise[:-1]).mean()) - 0.8) < 0.05


def test_mixing_keeps_the_spread() -> None:
    """Half-way between two unrelated latents every channel is as wide as they are; at the ends nothing changes."""
    away, home = torch.randn(2, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    between = mixed(away, home, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.allclose(between[0], away[0], atol=1e-5)
    assert torch.allclose(between[2], home[2], atol=1e-5)
    assert torch.allclose(between.std((2, 3)), torch.ones(3, 8), atol=0.15)


def test_camera_rests_at_time_zero() -> None:
    """The path begins at the identity map."""
    theta = path(torch.tensor([0.0, 1.0]), 0.1, 0.05, -0.05, 0.02)
    assert torch.allclose(theta[0], torch.eye(2, 3))
    assert not torch.allclose(theta[1], torch.eye(2, 3))


def test_unknown_name_gets_a_hint() -> None:
    """A misspelt generator is answered with the nearest name."""
    with pytest.raises(UnknownName, match="ae-shuffle"):
        generators.load_generator("ae-shufle")
