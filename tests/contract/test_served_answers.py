"""From the bytes of a challenge to the answer, by both ways a miner has: torch as trained, and onnxruntime alone.

`python -m tests.contract.test_served_answers` prints the largest differences.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detectors import TABLE
from detectors.acceleration.exported import NETWORKS, open_exported
from detectors.evaluation.self_test import log_odds
from detectors.loading import open_detector
from neurons.miner.answering import CLIP, decode_challenge
from subnet.codec import image, video
from subnet.codec.sandbox import VideoDecoder
from subnet.game.variant import render, variant_frames
from subnet.media import embedded
from subnet.types import Media, Modality, Split

NAMES = [row.name for row in TABLE.values() if row.target == NETWORKS and row.weights]
WITHOUT = {"spectral", "retrieval"}  # ONNX has no operators for what they compute
SAME = 1e-4  # most that P(synthetic) may differ, and calibrated log-odds as a share of those beyond 1 (`PARITY`)
SIDES = ((256, 256), (251, 253), (180, 320), (640, 480), (64, 64))


def challenges(modality: Modality) -> Iterator[bytes]:
    """Photographs and clips in every format and quality that validators send, at every level of variants and odd sizes."""
    rng = np.random.default_rng(7)
    items = embedded.items(modality, Split.TEST)
    for number, side in enumerate(SIDES):
        data = embedded.path(items[number % len(items)]).read_bytes()
        if modality is Modality.VIDEO:
            clip = video.decode_video(data)
            even = (side[0] - side[0] % 2, side[1] - side[1] % 2)
            yield render(Media(image.resize(clip.frames[: 3 + 4 * number], even), clip.fps), number % 4, rng)
            continue
        frame = image.resize(image.decode_image(data).frames, side)
        frame = variant_frames(Media(frame), number % 4, rng).frames
        for form, options in (("JPEG", {"quality": 60 + 8 * number}), ("WEBP", {"quality": 80}), ("PNG", {})):
            stream = io.BytesIO()
            Image.fromarray(frame[0]).save(stream, form, **options)
            yield stream.getvalue()


def difference(name: str, cache: Path) -> tuple[float, float] | None:
    """The largest of P(synthetic), and of log-odds as a share of those beyond 1; None without an export."""
    lean, plain = open_exported(name, cache), open_detector(name)
    if lean is None:
        return None
    decoder = VideoDecoder(CLIP)
    decode = decode_challenge if plain.modality is Modality.IMAGE else decoder.decode
    try:
        media = [decode(data) for data in challenges(plain.modality)]
    finally:
        decoder.close()
    off, share = 0.0, 0.0
    for ours, theirs in zip(lean.predict(media), plain.predict(media), strict=True):
        off = max(off, abs(ours.p_synthetic - theirs.p_synthetic))
        one, other = log_odds(ours.p_synthetic), log_odds(theirs.p_synthetic)
        share = max(
            share, abs(one - other) / max(1.0, abs(other)) if math.isfinite(one + other) else float(one != other)
        )
    return off, share


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NAMES)
def test_both_ways_answer_the_same(name: str, tmp_path: Path) -> None:
    """What a validator is told does not depend on how a miner serves: preprocessing, network and calibration agree."""
    found = difference(name, tmp_path)
    assert (found is None) == (name in WITHOUT)
    if found is not None:
        assert max(found) <= SAME, found


@pytest.mark.parametrize("modality", Modality)
def test_the_challenges_are_of_every_kind(modality: Modality) -> None:
    """Three formats of pictures, and clips of three and more frames, of several sizes."""
    bodies = list(challenges(modality))
    if modality is Modality.VIDEO:
        assert [len(video.decode_video(body).frames) for body in bodies][:2] == [3, 7]
        return
    assert {Image.open(io.BytesIO(body)).format for body in bodies} == {"JPEG", "WEBP", "PNG"}
    assert {decode_challenge(body).frames.shape[1:3] for body in bodies} >= {(256, 256), (640, 480)}


if __name__ == "__main__":
    import sys

    for each in sys.argv[2:] or NAMES:
        print(each, difference(each, Path(sys.argv[1])), flush=True)  # noqa: T201
