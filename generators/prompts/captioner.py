"""What is on a real picture, in words: BLIP-2, or the smaller BLIP, through transformers.

The model is led by the beginnings of sentences, one after the other (subject, setting, kind of picture), because a
captioner asked once gives half a dozen words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from generators.catalog.pipelines import free_memory
from generators.library_errors import typed_errors
from generators.prompts.chat import drawn_from, open_model
from generators.prompts.rows import PromptRow
from generators.prompts.wording import tidy
from subnet.errors import GenerationError
from subnet.types import Media

STEMS = ("a photo of", "in the background there is", "the light is")
TOKENS = 24  # new ones for each beginning


def load_captioner(
    row: PromptRow, *, device: str = "cpu", token: str | None = None, cache: Path | None = None
) -> Captioner:
    """The captioner of a row of `CAPTIONERS`, its weights read. Raises SettingsError or GenerationError."""
    model, processor = open_model(row, "AutoModelForImageTextToText", "AutoProcessor", device, token, cache)
    return Captioner(row.name, model, processor, device)


class Captioner:
    """Describes pictures. `close` frees its weights, so that a generator can have the memory."""

    def __init__(self, name: str, model: Any, processor: Any, device: str = "cpu") -> None:
        self.name = name
        self._model, self._processor, self._device = model, processor, device

    def caption(self, pictures: Sequence[Media], rng: np.random.Generator) -> list[str]:
        """One description per picture, of a clip by its middle frame; "" where the model had nothing to say."""
        if self._model is None:
            raise GenerationError(f"captioner {self.name!r} was closed")
        images = [Image.fromarray(media.frames[len(media.frames) // 2]) for media in pictures]
        with typed_errors(f"captioner {self.name!r}"), drawn_from(rng, self._device):
            return [self._describe(image) for image in images]

    def _describe(self, image: Image.Image) -> str:
        phrases: dict[str, str] = {}
        for stem in STEMS:
            end = self._finish(image, stem)
            if end and end not in phrases.values():
                phrases[stem] = end if stem == STEMS[0] else f"{stem} {end}"
        return tidy(", ".join(phrases.values()))

    def _finish(self, image: Image.Image, stem: str) -> str:
        inputs = self._processor(images=image, text=stem, return_tensors="pt").to(self._device, self._model.dtype)
        tokens = self._model.generate(
            **inputs, max_new_tokens=TOKENS, do_sample=True, top_p=0.9, temperature=0.8, repetition_penalty=1.2
        )
        text = str(self._processor.batch_decode(tokens, skip_special_tokens=True)[0])
        return " ".join(text.split()).removeprefix(stem).strip(" .,")

    def close(self) -> None:
        """Free the weights."""
        self._model = None
        free_memory()
