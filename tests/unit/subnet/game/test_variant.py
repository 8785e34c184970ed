"""Every miner's own variant: the same again from the same seed, different for everybody, and alike for both classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from subnet.codec import image as codec
from subnet.game.variant import CONTENT_TYPES, move, variant, variant_frames
from subnet.types import Challenge, Frames, Label, Media, Modality, Provenance, Sample


def photo(seed: int = 0, frames: int = 1) -> Media:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (frames, 16, 16, 3), dtype=np.uint8)
    return Media(np.repeat(np.repeat(small, 16, axis=1), 16, axis=2), None if frames == 1 else 25.0)


def challenge(level: int, label: Label = Label.REAL, frames: int = 1) -> Challenge:
    return Challenge("c", Sample(photo(frames=frames), label, Provenance("secret-source", "secret-item")), 42, level)


@pytest.mark.parametrize("level", range(4))
def test_a_variant_can_be_made_again_and_differs_by_hotkey(level: int) -> None:
    """The same (seed, hotkey, level) gives the same bytes; among 60 hotkeys hardly two get the same."""
    assert variant(challenge(level), "alice").body == variant(challenge(level), "alice").body
    bodies = {variant(challenge(level), f"hotkey-{n}").body for n in range(60)}
    assert len(bodies) >= 54


@pytest.mark.parametrize("level", range(4))
def test_the_label_leaves_no_trace(level: int) -> None:
    """The same media sent as real and as synthetic is the same query, and nothing of the provenance is in it."""
    real, fake = (variant(challenge(level, label), "bob") for label in Label)
    assert real == fake
    assert b"secret" not in real.body
    assert real.parameters == {}


@pytest.mark.parametrize("frames", [1, 8])
def test_the_target_size_is_kept(frames: int) -> None:
    """What a miner decodes is 256x256 with as many frames as the item."""
    for level in range(4):
        media = variant_frames(photo(frames=frames), level, np.random.default_rng(level))
        assert media.frames.shape == (frames, 256, 256, 3)


def test_training_sees_what_a_miner_sees() -> None:
    """`variant_frames` is `variant` decoded: the same pixels from the same rng."""
    one = challenge(2)
    query = variant(one, "carol")
    assert query.content_type == CONTENT_TYPES[Modality.IMAGE]
    from subnet.game.sampling import derive

    again = variant_frames(one.sample.media, 2, np.random.default_rng(derive(one.seed, "carol")))
    assert np.array_equal(codec.decode_image(query.body).frames, again.frames)


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 2), st.integers(2, 9), st.integers(2, 9), st.just(3))),
    st.integers(-4, 4),
    st.integers(-4, 4),
)
def test_moving_equals_numpys_reflect_padding(frames: Frames, down: int, right: int) -> None:
    """A move is a window of the picture padded by mirror images."""
    height, width = frames.shape[1:3]
    padded = np.pad(frames, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="reflect")
    expected = padded[:, 4 - down : 4 - down + height, 4 - right : 4 - right + width]
    assert np.array_equal(move(frames, down, right), expected)
