"""What travels between a miner and its replicas comes back as it was, and nothing else is taken for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurons.cluster.batch_format import About, from_reply, pack, to_reply, unpack
from subnet.errors import MediaUnreadable
from subnet.types import Media, Prediction


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9), st.none() | st.floats(0.01, 1000)), max_size=12),
    st.integers(0, 2**32 - 1),
)
def test_a_batch_comes_back_as_it_was(shapes: list[tuple[int, int, float | None]], seed: int) -> None:
    """Images and clips of any sizes, in order, to the last bit."""
    rng = np.random.default_rng(seed)
    batch = [
        Media(rng.integers(0, 256, (frames if fps else 1, side, side + 1, 3), dtype=np.uint8), fps)
        for frames, side, fps in shapes
    ]
    back = unpack(pack(batch))
    assert [media.fps for media in back] == [media.fps for media in batch]
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(back, batch, strict=True))


@given(st.binary(max_size=200))
def test_what_is_no_batch_is_refused(data: bytes) -> None:
    """Bytes of strangers raise MediaUnreadable, and nothing else."""
    with pytest.raises(MediaUnreadable, match="no batch of media"):
        unpack(data)


def test_tensors_that_are_no_media_are_refused() -> None:
    """A file of safetensors with other tensors than frames, rates without frames, and numbers that are left out."""
    from safetensors.numpy import save

    frames = np.zeros((1, 4, 4, 3), np.uint8)
    for tensors in (
        {"0": frames.astype(np.float32)},
        {"0": np.zeros((2, 4, 4, 3), np.uint8)},  # a clip without its rate
        {"0": frames, "2": frames},
        {"0": frames, "0.fps": np.array([0.0])},
        {"0": frames, "0.fps": np.array([1.0, 2.0])},
        {"weights": frames},
    ):
        with pytest.raises(MediaUnreadable):
            unpack(save(tensors))


@given(st.lists(st.floats(0, 1)), st.text(max_size=20), st.integers(1, 1000), st.floats(1e-6, 1e3))
def test_a_reply_comes_back_as_it_was(values: list[float], name: str, replicas: int, seconds: float) -> None:
    """Who answers, and every number to its last bit."""
    about = About(name, "ab" * 32, replicas, seconds)
    assert from_reply(to_reply(about, [Prediction(value) for value in values])) == (
        about,
        [Prediction(value) for value in values],
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"name": "npr"}',
        '{"name": "npr", "weights_hash": "", "replicas": 1, "seconds": 1, "p_synthetic": [2]}',
        '{"name": "npr", "weights_hash": "", "replicas": 1, "seconds": 1, "p_synthetic": [NaN]}',
        '{"name": "npr", "weights_hash": "", "replicas": "x", "seconds": 1, "p_synthetic": []}',
        '{"name": "npr", "weights_hash": "", "replicas": null, "seconds": 1, "p_synthetic": []}',
        '{"name": "npr", "weights_hash": "", "replicas": 1, "seconds": 1, "p_synthetic": 0.5}',
        '{"name": "npr", "weights_hash": "", "replicas": 1, "seconds": 0, "p_synthetic": []}',
        '{"name": "npr", "weights_hash": "", "replicas": 1, "seconds": NaN, "p_synthetic": []}',
        '{"name": "npr", "weights_hash": "", "replicas": 0, "seconds": 1, "p_synthetic": []}',
    ],
)
def test_what_is_no_reply_is_refused(text: str) -> None:
    """A number that is no probability, a part that lacks, another program's page: ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011
        from_reply(text)
