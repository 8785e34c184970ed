"""What files went through, read from their headers, and two pictures brought to the same of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from detectors.pixels.history import PLAIN, again, matched, read_history
from subnet.types import Frames


def picture(seed: int = 0) -> Frames:
    """Smooth enough for a JPEG to leave its blocks in."""
    small = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((128, 128), Image.Resampling.BICUBIC))[None]


def stored(frames: Frames, kind: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frames[0]).save(buffer, kind, **how)
    return buffer.getvalue()


@pytest.mark.parametrize("quality", [30, 75, 96])
def test_a_jpeg_is_repeated_exactly(quality: int) -> None:
    """The tables and sampling of a file make of its original, bit for bit, what the file holds."""
    data = stored(picture(), "JPEG", quality=quality, subsampling=0 if quality > 90 else 2)
    decoded = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert (again(picture(), read_history(data))[0] == decoded).all()


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xe0cut off", stored(picture(), "PNG")])
def test_what_is_no_jpeg_has_no_history(data: bytes) -> None:
    """Other formats and broken files leave a picture as it is: what decodes them reports what is wrong."""
    assert read_history(data) == PLAIN
    assert again(picture(), PLAIN) is not None
    assert (again(picture(), PLAIN) == picture()).all()


def grid(frames: Frames) -> float:
    """How much stronger steps across the borders of 8 x 8 blocks are than others."""
    steps = np.abs(np.diff(frames[0].astype(float).mean(axis=2), axis=1)).mean(axis=0)
    border = np.arange(len(steps)) % 8 == 7
    return float(steps[border].mean() / steps[~border].mean())


def test_one_history_for_both_classes() -> None:
    """A JPEG and a picture that never was one differ in their blocks by far less once they are matched, either way
    round, and the same picture on both sides stays the same picture on both sides."""
    blocky = stored(picture(), "JPEG", quality=20)
    decoded = np.asarray(Image.open(io.BytesIO(blocky)).convert("RGB"))[None]
    before = abs(grid(decoded) - grid(picture()))
    histories = read_history(blocky), PLAIN
    gaps = []
    for seed in range(8):
        one, other = matched(decoded, picture(), histories, np.random.default_rng(seed))
        back = matched(picture(), decoded, histories[::-1], np.random.default_rng(seed))
        assert (one == back[1]).all()
        assert (other == back[0]).all()
        gaps.append(abs(grid(one) - grid(other)))
    assert np.mean(gaps) < 0.2 * before
    same = matched(picture(), picture(), (PLAIN, PLAIN), np.random.default_rng(0))
    assert (same[0] == same[1]).all()
