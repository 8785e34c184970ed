"""Where the producer's prompts come from: a grammar, or the plan's own real pictures, described by models."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from generators.prompts.captioned import CaptionedPrompts
from generators.prompts.rows import CAPTIONERS, REPHRASERS
from generators.rows import GeneratorRow, Task
from neurons.producer.settings import Prompts
from subnet.errors import SourceEmpty
from subnet.media.pool.producer import Make
from subnet.protocols import Source
from subnet.types import Label, Modality, Sample

Prompting = Callable[[GeneratorRow, np.random.Generator], str]


def invent_prompt(row: GeneratorRow, rng: np.random.Generator) -> str:
    """A prompt for one item of a generator by the grammar; "" for those that only draw real media anew."""
    if row.task is Task.RECONSTRUCT:
        return ""
    from generators.prompts.offline import prompt

    return prompt(rng, row.modality)


class Pictures:
    """The real images of a plan as one source: each of `makes` is asked in proportion to its weight."""

    name = "plan"

    def __init__(self, makes: Sequence[Make], weights: Sequence[float]) -> None:
        self._makes, self._odds = makes, np.array(weights) / sum(weights)

    def draw(self, modality: Modality, label: Label, rng: np.random.Generator) -> Sample:
        """One picture. Raises SourceEmpty for anything but real images, and what the makers raise."""
        if (modality, label) != (Modality.IMAGE, Label.REAL):
            raise SourceEmpty(f"descriptions are of real images, not of a {label.name.lower()} {modality}")
        return self._makes[int(rng.choice(len(self._makes), p=self._odds))](rng)


class LazyPrompts:
    """Prompts from pictures. The models are loaded by `load` at the first prompt; one prompt is written at a time."""

    def __init__(self, load: Callable[[], CaptionedPrompts]) -> None:
        self._load, self._lock = load, threading.Lock()
        self._source: CaptionedPrompts | None = None

    def __call__(self, row: GeneratorRow, rng: np.random.Generator) -> str:
        """Raises GenerationError when eight pictures gave no prompt that may be used, or the models do not load."""
        if row.task is Task.RECONSTRUCT:
            return ""
        with self._lock:
            self._source = self._source or self._load()
            return self._source.draw(1, row.modality, rng)[0]


def open_prompting(settings: Prompts, reals: Source, device: str) -> Prompting:
    """Prompts as `settings` say. Raises SettingsError, before anything is fetched, for a model that cannot run here."""
    if settings.captioner is None:
        return invent_prompt
    from generators.capability import probe, require

    captions = CAPTIONERS[settings.captioner]
    answers = None if settings.rephraser is None else REPHRASERS[settings.rephraser]
    machine = probe()
    for row in (captions, answers):
        if row is not None:
            require(row, machine, device)

    def load() -> CaptionedPrompts:
        from generators.prompts import captioner, rephraser

        return CaptionedPrompts(
            reals,
            captioner.load_captioner(captions, device=device),
            None if answers is None else rephraser.load_rephraser(answers, device=device),
        )

    return LazyPrompts(load)
