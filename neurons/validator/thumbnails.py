"""Thumbnails of challenges, so that people can look at what was asked. For the eyes of the validator's owner only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from subnet.codec import image as codec
from subnet.errors import StateError
from subnet.files import write_atomically
from subnet.game.step import Draw, Round, challenge_of
from subnet.game.variant import variant
from subnet.types import Modality

SIDE = 160  # pixels


@dataclass(frozen=True)
class Gallery:
    """Keeps the first `count` challenges as the first hotkey saw them, one JPEG each with the facts in its name."""

    folder: Path
    count: int = 60

    def keep(self, played: Round[Draw]) -> None:
        """Write one thumbnail, whole or not at all. Raises StateError where the disk refuses: it costs the picture."""
        if played.drawn is None or not played.outcomes or played.plan.number >= self.count:
            return
        plan = played.plan
        first = played.outcomes[0]
        query = variant(challenge_of(plan, played.drawn, first.hotkey), first.hotkey)
        video = plan.modality is Modality.VIDEO
        media = codec.decode_video(query.body) if video else codec.decode_image(query.body)
        picture = Image.fromarray(np.asarray(media.frames[len(media.frames) // 2])).resize((SIDE, SIDE))
        facts = [plan.number, plan.modality.value, first.label.name.lower(), plan.origin, plan.level]
        file = BytesIO()
        picture.save(file, "JPEG", quality=90, comment=json.dumps(facts).encode())
        path = self.folder / f"{plan.number:06d}.jpg"
        try:
            write_atomically(path, file.getvalue())
        except OSError as error:
            raise StateError(f"the thumbnail {path} cannot be written: {error.strerror}") from error


def read(folder: Path) -> list[tuple[Image.Image, list[str]]]:
    """Thumbnails in order, each with number, modality, label, origin and level."""
    result = []
    for path in sorted(folder.glob("*.jpg")):
        with Image.open(path) as picture:
            facts = [str(fact) for fact in json.loads(picture.info["comment"])]
            result.append((picture.convert("RGB"), facts))
    return result
