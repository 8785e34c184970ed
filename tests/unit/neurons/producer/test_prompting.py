"""Prompts of the producer: made up, or descriptions of the plan's own real pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import generators
from generators.prompts.captioned import CaptionedPrompts
from neurons.producer.makers import makers, resolve_plan
from neurons.producer.prompting import LazyPrompts, Pictures, invent_prompt, open_prompting
from neurons.producer.settings import Prompts
from subnet.errors import SettingsError, SourceEmpty, UnknownName
from subnet.media.pool.item import Cell
from subnet.media.pool.producer import PoolPlan, Target
from subnet.types import Label, Media, Modality, Provenance, Sample, Split
from tests.unit.neurons.running import Assay


@pytest.fixture
def assay(capfd: pytest.CaptureFixture[str]) -> Assay:
    return Assay(capfd)


def picture(name: str) -> Sample:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    return Sample(Media(pixels), Label.REAL, Provenance(name, "1"))


class Told:
    """A captioner that names the pictures it is shown by their first pixel, so that each caption is another."""

    def __init__(self) -> None:
        self.shown = 0

    def caption(self, pictures: list[Media], rng: np.random.Generator) -> list[str]:
        self.shown += len(pictures)
        words = ("boat", "horse", "tower", "garden", "bridge")
        return [f"a {words[self.shown % 5]} beside a {words[self.shown // 5 % 5]} in the morning" for _ in pictures]


def test_pictures_come_in_the_plans_proportions() -> None:
    """Sources are asked by their weights, for real images only."""
    pictures = Pictures([lambda rng: picture("often"), lambda rng: picture("seldom")], [9, 1])
    rng = np.random.default_rng(0)
    seen = Counter(pictures.draw(Modality.IMAGE, Label.REAL, rng).provenance.source for _ in range(300))
    assert 240 < seen["often"] < 300
    with pytest.raises(SourceEmpty, match="real images"):
        pictures.draw(Modality.VIDEO, Label.REAL, rng)


def test_models_are_loaded_once_and_only_for_what_reads_text() -> None:
    """A row that draws again what it is shown has no prompt; the others get descriptions, for video with motion."""
    loaded, told = [], Told()

    def load() -> CaptionedPrompts:
        loaded.append(True)
        return CaptionedPrompts(Pictures([lambda rng: picture("a")], [1]), told)

    prompting, rng = LazyPrompts(load), np.random.default_rng(1)
    assert prompting(generators.TABLE["ae-nearest"], rng) == ""
    assert not loaded
    image, video = (prompting(generators.TABLE[name], rng) for name in ("sdxl", "wan22-5b"))
    assert image == "a horse beside a boat in the morning"
    assert video.startswith("a tower beside a boat in the morning")
    assert len(video) > len(image) + 10
    assert loaded == [True]


def test_without_models_prompts_are_made_up() -> None:
    """No captioner: the grammar, the same for the same randomness."""
    prompting = open_prompting(Prompts(), Pictures([lambda rng: picture("a")], [1]), "cpu")
    assert prompting is invent_prompt
    texts = [invent_prompt(generators.TABLE["sdxl"], np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert texts[0] == texts[1] != texts[2]


def test_what_cannot_work_is_told_before_anything_starts(assay: Assay, tmp_path: Path) -> None:
    """A misspelt model, a rephraser alone, a captioner without the card it needs, and --ray beside it."""
    with pytest.raises(UnknownName, match="blip2"):
        Prompts(captioner="blip3")
    with pytest.raises(SettingsError, match="--prompts.captioner"):
        Prompts(rephraser="smollm2")
    plan = PoolPlan((Target(Cell(Modality.IMAGE, Label.SYNTHETIC, "diffusion"), 1),))
    origins = resolve_plan(plan, Split.TRAIN, {})
    with pytest.raises(SettingsError, match="'blip2' cannot run here: needs a GPU"):
        makers(plan, origins, split=Split.TRAIN, device="cpu", prompts=Prompts(captioner="blip2"))
    ran = assay("producer", "--ray", "--prompts.captioner", "blip", "--pool.path", tmp_path / "pool")
    assert ran.status == 2
    assert "--ray" in ran.message
