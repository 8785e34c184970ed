"""Prompts: the grammar, wording, and the models that write them, tiny ones loaded from disk by the real code."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from generators.prompts import captioner, offline, rephraser
from generators.prompts.captioned import CaptionedPrompts
from generators.prompts.motion import with_motion
from generators.prompts.rows import CAPTIONERS, REPHRASERS
from generators.prompts.wording import RecentPrompts, refusal, shingles, similarity, tidy, without_names
from subnet.errors import GenerationError, SettingsError
from subnet.types import Media, Modality
from tests.unit.generators import tiny_language
from tests.unit.generators.conftest import Noise

words = st.lists(st.sampled_from(["a", "red", "old", "boat", "house", "on", "the", "sea", "near"]), max_size=12).map(
    " ".join
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def skeletons() -> int:
    """How many different prompts for pictures the grammar has."""
    scenes = offline.SCENES.values()
    bodies = sum(len(scene.subjects) * len(scene.doings) * len(scene.places) for scene in scenes)
    choices = {"light": len(offline.LIGHTS), "lens": len(offline.LENSES), "mood": len(offline.MOODS)}
    return bodies * sum(
        math.prod(size for name, size in choices.items() if name in phrase.lower()) for phrase in offline.PHRASES
    )


def test_the_grammar_has_millions_of_prompts_and_few_repeats() -> None:
    """More than a million skeletons; of a thousand drawn, none repeats, at most one in a hundred
    is nearly another, and none is refused or names anybody."""
    assert skeletons() > 1_000_000
    stream, recent = rng(), RecentPrompts()
    prompts = [offline.prompt(stream, Modality.IMAGE) for _ in range(1000)]
    assert len(set(prompts)) == 1000
    assert sum(not recent.admit(prompt) for prompt in prompts) <= 10  # one in a hundred
    sets = [shingles(prompt) for prompt in prompts[:300]]
    assert np.mean([similarity(a, b) for a, b in combinations(sets, 2)]) < 0.05
    assert {refusal(prompt) for prompt in prompts} == {""}
    assert [prompt for prompt in prompts if without_names(prompt) != prompt] == []


def test_every_turn_of_phrase_is_used() -> None:
    """A few hundred draws begin in all the ways the grammar has."""
    starts = Counter(offline.prompt(rng(seed), Modality.IMAGE).split()[0] for seed in range(300))
    assert {"Documentary", "Snapshot"} <= set(starts)
    assert len(starts) > 20


def test_the_same_randomness_writes_the_same_prompts() -> None:
    """Prompts are a function of the generator handed in."""
    assert [offline.prompt(rng(5), Modality.VIDEO) for _ in range(2)] == [offline.prompt(rng(5), Modality.VIDEO)] * 2
    assert offline.prompt(rng(1), Modality.IMAGE) != offline.prompt(rng(2), Modality.IMAGE)


def test_a_video_prompt_speaks_of_motion_once() -> None:
    """One sentence is added; a prompt that has a camera already is left alone."""
    moved = with_motion("a boat on a lake", rng())
    assert moved.startswith("a boat on a lake. ")
    assert with_motion(moved, rng(1)) == moved or "filmed" in moved
    assert with_motion("the camera pans over a lake", rng()) == "the camera pans over a lake"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("  a boat\n on  a lake ", "a boat on a lake"),
        ("Here is a description: A boat on a lake.", "A boat on a lake."),
        ('"A boat on a lake."', "A boat on a lake."),
        ("A boat on a lake. The sky is", "A boat on a lake."),
        ("A boat.\n\nI hope this helps!", "A boat."),
        ("", ""),
    ],
)
def test_answers_are_tidied(text: str, wanted: str) -> None:
    """One line, no preamble or quotes, no half sentence at the end."""
    assert tidy(text) == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("?!", "empty"),
        ("a boat", "too short"),
        ("I cannot help with that request", "refused by the model"),
        ("a naked man on a beach", "unsafe"),
        ("boat boat boat boat boat boat", "stammer"),
        ("a red boat on a lake", ""),
    ],
)
def test_what_is_no_prompt_is_refused_with_a_reason(text: str, reason: str) -> None:
    """Each kind of useless text has its own word, which the counts use."""
    assert refusal(text) == reason


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a photo of Ada Lovelace in Paris", "a photo of a person in a town"),
        ("Ada Lovelace reads a book", "A person reads a book"),
        ("a man in front of the Eiffel Tower", "a man in front of the place"),
        ("A boat on a lake. Trees stand behind", "A boat on a lake. Trees stand behind"),
        ("a market on Sunday in May", "a market on Sunday in May"),
    ],
)
def test_names_are_made_general(text: str, wanted: str) -> None:
    """People become a person, places a place; first words of sentences, days and months stay."""
    assert without_names(text) == wanted


@given(words, words)
def test_similarity_is_a_symmetric_share(a: str, b: str) -> None:
    """Jaccard: in 0..1, symmetric, 1 with itself."""
    first, second = shingles(a), shingles(b)
    assert 0 <= similarity(first, second) <= 1
    assert similarity(first, second) == similarity(second, first)
    assert similarity(first, first) == 1


@given(st.lists(words, max_size=30))
def test_no_two_admitted_prompts_are_near(prompts: list[str]) -> None:
    """Whatever is let in is less alike than the bound to everything let in before, and nothing else is turned away."""
    recent, kept = RecentPrompts(near=0.6), []
    for prompt in prompts:
        near = any(similarity(shingles(prompt), shingles(old)) >= 0.6 for old in kept)
        assert recent.admit(prompt) == (not near)
        if not near:
            kept.append(prompt)
    assert len(recent) == len(kept)


def test_memory_of_prompts_is_bounded() -> None:
    """The oldest prompt is forgotten, and may then come again."""
    recent = RecentPrompts(capacity=2)
    assert [recent.admit(text) for text in ("a b c d", "e f g h", "i j k l", "a b c d", "i j k l")] == [True] * 4 + [
        False
    ]
    assert len(recent) == 2


@pytest.mark.parametrize(("name", "build"), [("blip2", tiny_language.blip2), ("blip", tiny_language.blip)])
def test_captioners_load_and_speak(name: str, build: object, tmp_path: Path) -> None:
    """Through transformers from a folder: one text per picture, the same for the same seed, nothing after close."""
    assert callable(build)
    row = replace(CAPTIONERS[name], repository=str(build(tmp_path)), vram_gb=0.0)
    model = captioner.load_captioner(row)
    pictures = [Media(rng(seed).integers(0, 256, (1, 64, 48, 3), dtype=np.uint8)) for seed in range(2)]
    state = torch.random.get_rng_state()
    captions = model.caption(pictures, rng(7))
    assert len(captions) == 2
    assert all(isinstance(text, str) and not text.startswith("a photo of a photo of") for text in captions)
    assert captions == model.caption(pictures, rng(7))
    assert torch.equal(state, torch.random.get_rng_state())
    model.close()
    with pytest.raises(GenerationError, match="closed"):
        model.caption(pictures, rng())


def test_the_rephraser_loads_and_answers(tmp_path: Path) -> None:
    """A chat model from a folder: only its new words come back, the same for the same seed."""
    row = replace(REPHRASERS["llama-8b"], repository=str(tiny_language.chat(tmp_path)), vram_gb=0.0, requires=())
    model = rephraser.load_rephraser(row)
    answer = model.rephrase("a boat on a lake", Modality.VIDEO, rng(3))
    assert "Notes:" not in answer
    assert answer == model.rephrase("a boat on a lake", Modality.VIDEO, rng(3))
    model.close()
    with pytest.raises(GenerationError, match="closed"):
        model.rephrase("a boat", Modality.IMAGE, rng())


def test_what_the_models_need_is_said(tmp_path: Path) -> None:
    """A missing package, a missing card and an empty folder each give their own message."""
    row = REPHRASERS["smollm2"]
    with pytest.raises(SettingsError, match="pip install no-such-package"):
        rephraser.load_rephraser(replace(row, requires=("no-such-package",)))
    with pytest.raises(SettingsError, match="needs a GPU"):
        captioner.load_captioner(CAPTIONERS["blip2"])
    with pytest.raises(GenerationError, match="does not load"):
        rephraser.load_rephraser(replace(row, repository=str(tmp_path)))


class Scripted:
    """A captioner and rephraser that say what they are told to, in turn."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def caption(self, pictures: list[Media], rng: np.random.Generator) -> list[str]:
        return [self.lines.pop(0) for _ in pictures]

    def rephrase(self, caption: str, modality: Modality, rng: np.random.Generator) -> str:
        return self.lines.pop(0)


def test_bad_captions_are_counted_and_passed_over() -> None:
    """Empty, unsafe and repeated captions cost a picture each; the rest become prompts with motion."""
    captions = Scripted("", "a naked man on a beach", "a boat on a lake", "a boat on a lake", "two dogs in the snow")
    prompts = CaptionedPrompts(Noise(), captions)
    made = prompts.draw(2, Modality.VIDEO, rng())
    assert [text.split(".")[0] for text in made] == ["a boat on a lake", "two dogs in the snow"]
    assert prompts.refused == {"empty": 1, "unsafe": 1, "repeat": 1}

    same = CaptionedPrompts(Noise(), Scripted(*["a boat on a lake"] * 16))
    with pytest.raises(GenerationError, match="1 of 2 prompts from 16 pictures: 15 repeat"):
        same.draw(2, Modality.IMAGE, rng())


def test_a_refused_answer_falls_back_on_the_caption() -> None:
    """When the chat model will not, the caption, made general, is the prompt."""
    captions, answers = Scripted("a photo of Ada Lovelace in a park"), Scripted("I cannot help with that.")
    prompts = CaptionedPrompts(Noise(), captions, answers)
    assert prompts.draw(1, Modality.IMAGE, rng()) == ["a photo of a person in a park"]
    assert prompts.refused == {"rephrased: refused by the model": 1}
