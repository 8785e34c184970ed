"""Prompts from real pictures: drawn, captioned, rephrased, made general, checked, and never told twice."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import numpy as np

from generators.prompts.motion import with_motion
from generators.prompts.wording import RecentPrompts, refusal, without_names
from subnet.errors import GenerationError
from subnet.protocols import Source
from subnet.types import Label, Media, Modality

TRIES = 8  # pictures looked at for each prompt wanted


class Captions(Protocol):
    """What `Captioner` does."""

    def caption(self, pictures: list[Media], rng: np.random.Generator) -> list[str]: ...


class Rephrases(Protocol):
    """What `Rephraser` does."""

    def rephrase(self, caption: str, modality: Modality, rng: np.random.Generator) -> str: ...


class CaptionedPrompts:
    """Prompts over real pictures. `refused` counts, by reason, what was not used.

    Without a rephraser the caption itself is the prompt; where a rephrased prompt is refused, the caption stands in.
    """

    def __init__(self, reals: Source, captioner: Captions, rephraser: Rephrases | None = None) -> None:
        self.refused: Counter[str] = Counter()
        self._reals, self._captioner, self._rephraser = reals, captioner, rephraser
        self._recent = RecentPrompts()

    def draw(self, number: int, modality: Modality, rng: np.random.Generator) -> list[str]:
        """`number` prompts that differ from one another. Raises GenerationError when there are not enough."""
        prompts: list[str] = []
        for _ in range(TRIES * number):
            if len(prompts) == number:
                break
            picture = self._reals.draw(Modality.IMAGE, Label.REAL, rng).media
            if prompt := self._write(self._captioner.caption([picture], rng)[0], modality, rng):
                prompts.append(prompt)
        if len(prompts) < number:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.refused.items())
            raise GenerationError(f"{len(prompts)} of {number} prompts from {TRIES * number} pictures: {reasons}")
        return prompts

    def _write(self, caption: str, modality: Modality, rng: np.random.Generator) -> str:
        """The prompt for one caption, or "" and a count."""
        if reason := refusal(caption):
            self.refused[reason] += 1
            return ""
        prompt = caption
        if self._rephraser is not None:
            prompt = self._rephraser.rephrase(caption, modality, rng)
            if reason := refusal(prompt):
                self.refused[f"rephrased: {reason}"] += 1
                prompt = caption
        prompt = without_names(prompt)
        if not self._recent.admit(prompt):
            self.refused["repeat"] += 1
            return ""
        return with_motion(prompt, rng) if modality is Modality.VIDEO else prompt
