"""Temporal twins: nothing tells them apart but the order of what is done to their frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.embedded.temporal_twins import EFFECTS, KINDS, ORDER, TemporalTwins, even, stumbling, uneven
from subnet.errors import GenerationError
from subnet.types import Label, Media, Provenance, Sample


@pytest.fixture(scope="module")
def twins() -> TemporalTwins:
    return TemporalTwins()


def clip(moving: bool, frames: int = 6) -> Sample:
    """A smooth picture, still or moving by two pixels a frame."""
    rng = np.random.default_rng(0)
    rough = rng.integers(60, 200, (6, 8, 3)).astype(np.float64)
    picture = np.kron(rough, np.ones((16, 16, 1))).astype(np.uint8)
    shown = np.stack([picture[:64, (2 * t if moving else 0) :][:, :64] for t in range(frames)])
    return Sample(Media(shown, 25.0), Label.REAL, Provenance("test", "smooth", "MIT"))


def sorted_frames(media: Media) -> list[bytes]:
    return sorted(frame.tobytes() for frame in media.frames)


@pytest.mark.parametrize("kind", KINDS)
def test_single_frames_are_the_same(twins: TemporalTwins, kind: str) -> None:
    """Of a clip that stands still both twins have the very same frames, and only their order differs; of a moving one
    that is disturbed in its order, too."""
    rng = np.random.default_rng(1)
    real = clip(moving=kind == ORDER)
    steady, jumping = twins.pair(real, kind, rng)
    assert (steady.label, jumping.label) == (Label.REAL, Label.SYNTHETIC)
    assert sorted_frames(steady.media) == sorted_frames(jumping.media)
    assert not np.array_equal(steady.media.frames, jumping.media.frames)
    assert steady.media.frames.shape == real.media.frames.shape
    assert steady.media.fps == jumping.media.fps == 25.0
    assert steady.provenance == jumping.provenance
    assert steady.provenance.item == "smooth"


@pytest.mark.parametrize("kind", KINDS)
def test_the_even_twin_is_the_smoother_one(twins: TemporalTwins, kind: str) -> None:
    """Neighbouring frames of the uneven twin differ more; the same seed gives the same pair."""
    steady, jumping = twins.pair(clip(moving=True), kind, np.random.default_rng(2))
    again = twins.pair(clip(moving=True), kind, np.random.default_rng(2))
    assert np.array_equal(again[1].media.frames, jumping.media.frames)

    def away(sample: Sample) -> float:
        return float(np.abs(np.diff(sample.media.frames.astype(float), axis=0)).mean())

    assert away(jumping) > away(steady)


def test_images_and_short_clips_are_refused(twins: TemporalTwins) -> None:
    """What has no course is told, with the number of frames."""
    real = clip(moving=False)
    for frames in (Media(real.media.frames[:1]), Media(real.media.frames[:3], 25.0)):
        with pytest.raises(GenerationError, match="at least 4 frames"):
            twins.pair(Sample(frames, Label.REAL, real.provenance), "sway", np.random.default_rng(0))


@given(st.integers(4, 40), st.integers(0, 2**32))
def test_courses(count: int, seed: int) -> None:
    """An even course has equal steps of at most a turn in all; an uneven one stands at the same places."""
    rng = np.random.default_rng(seed)
    course = even(count, rng)
    steps = np.diff(course)
    assert np.allclose(steps, steps[0])
    assert np.pi <= abs(steps[0]) * count <= 2 * np.pi
    assert sorted(uneven(course, rng)) == sorted(course)


@given(st.integers(4, 40), st.floats(2, 8), st.integers(0, 2**32))
def test_stumbling_frames_stay_near_their_place(count: int, reach: float, seed: int) -> None:
    """Every frame once, none farther from its place than the reach, and some out of order."""
    order = stumbling(count, reach, np.random.default_rng(seed))
    assert sorted(order) == list(range(count))
    assert np.abs(order - np.arange(count)).max() <= reach
    assert (np.diff(order) < 0).any()


def test_every_effect_has_a_span_of_strengths() -> None:
    """What is drawn is above nothing: a twin that differs in no frame would be neither even nor uneven."""
    assert all(span.low > 0 for _, span in EFFECTS.values())
