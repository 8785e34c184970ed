"""Small data sets for tests: photographs that are real, and the same photographs shrunk and blown up again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detectors.training.loop import Progress
from subnet.codec import image as codec
from subnet.game.operators import rescale
from subnet.media import embedded
from subnet.types import Media, Modality


def photos(count: int, split: str = "train") -> list[tuple[str, Media]]:
    rows = embedded.items(Modality.IMAGE, split)[:count]
    return [(row.id, codec.normalise(codec.decode_image(embedded.path(row).read_bytes()), None)) for row in rows]


def write_images(root: Path, count: int, split: str = "train") -> Path:
    """A data set folder with an index: `count` photographs and a blurred twin of each."""
    root.mkdir(parents=True)
    lines = []
    for item, media in photos(count, split):
        fake = Media(rescale(media.frames, 0.5))
        for label, shown in ((0, media), (1, fake)):
            file = f"{item}-{label}.png".replace("/", "_")
            (root / file).write_bytes(codec.encode_png(shown))
            origin = ("embedded", "blurred")[label]
            row = {"file": file, "label": label, "modality": "image", "origin": origin, "pair": item, "item": item}
            lines.append(row)
    (root / "index.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return root


def assert_paced(told: Sequence[Progress]) -> None:
    """A run without losses that counts up to its end, each time with what is left of it at the pace so far."""
    steps = [each.step for each in told]
    assert steps == sorted(set(steps))
    assert {each.steps for each in told} == {steps[-1]}
    assert all(each.seconds_left > 0 for each in told[:-1])
    assert told[-1].seconds_left == 0
    assert not any(each.losses for each in told)


def write_clips(root: Path, count: int, frames: int = 5) -> Path:
    """A data set folder without an index: noise clips, the fakes of which stand still."""
    rng = np.random.default_rng(0)
    for number in range(count):
        moving = rng.integers(0, 256, (frames, 256, 256, 3), dtype=np.uint8)
        for kind, shown in (("real/camera", moving), ("fake/still", np.repeat(moving[:1], frames, axis=0))):
            (root / kind).mkdir(parents=True, exist_ok=True)
            (root / kind / f"{number}.mp4").write_bytes(codec.encode_video(Media(shown, 10.0), 20))
    return root
