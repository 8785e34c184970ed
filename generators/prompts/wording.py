"""Prompts as text: cleaned, stripped of names, refused when empty, compared with one another. Pure."""

from __future__ import annotations

import re
from collections import deque

SHINGLE = 3  # words
NEAR = 0.6  # Jaccard similarity of shingles from which two prompts are near-duplicates

_MIN_WORDS = 3
_PREAMBLE = re.compile(r"^\s*(?:sure|certainly|of course|okay|here(?:'s| is| are))\b[^:\n]{0,80}:\s*", re.IGNORECASE)
_REFUSAL = re.compile(
    r"\b(?:i (?:cannot|can't|can not|won't|am unable)|i'm (?:sorry|unable)|as an ai)\b", re.IGNORECASE
)
_UNSAFE = re.compile(
    r"\b(?:nude|naked|nsfw|porn\w*|sex(?:ual\w*|y)?|erotic\w*|gore|gory|corpse|beheaded|suicide|swastika)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_NAME = re.compile(r"\b[A-Z][a-z]+(?:[ '\-][A-Z][a-z]+)*\b")
_DAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Christmas",
    "Easter",
    "Halloween",
)
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November")
_PLAIN = frozenset(("I", *_DAYS, *_MONTHS, "December"))  # capitalised, and yet nobody's name
_PLACES = frozenset(("in", "at", "from", "near", "to", "around", "over"))
_ARTICLES = frozenset(("the", "a", "an"))


def tidy(text: str) -> str:
    """One line of plain words: no preamble of a chat model, quotes, lists, control signs, or a broken last sentence."""
    text = _PREAMBLE.sub("", text.strip())
    text = " ".join(text.split("\n\n")[0].split())
    text = "".join(sign for sign in text if sign.isprintable()).strip(" \"'`*#-")
    if text and text[-1] not in ".!?" and text.count(".") > 0:
        text = text[: text.rindex(".") + 1]  # the model ran out of tokens mid-sentence
    return text


def refusal(text: str) -> str:
    """Why a prompt is not used: empty, a chat model's refusal, unsafe, or a stammer; "" when it is fine."""
    words = _WORD.findall(text.lower())
    if len(words) < _MIN_WORDS:
        return "empty" if not words else "too short"
    if _REFUSAL.search(text):
        return "refused by the model"
    if _UNSAFE.search(text):
        return "unsafe"
    return "stammer" if len(set(words)) < 0.4 * len(words) else ""


def without_names(text: str) -> str:
    """People and places by name made general, by where capitals stand; a last guard behind the chat model.

    "a photo of Ada Lovelace in Paris" becomes "a photo of a person in a town". A single capitalised word that begins a
    sentence is left alone, since nothing tells it from any other first word.
    """

    def general(match: re.Match[str]) -> str:
        words = match.group().split()
        before = text[: match.start()].rstrip()
        begins = not before or before[-1] in ".!?"
        if (begins and len(words) == 1) or set(words) <= _PLAIN:
            return match.group()
        previous = before.rsplit(None, 1)[-1].lower() if before and not begins else ""
        if begins:  # "The Eiffel Tower" is a place, "Ada Lovelace" a person
            return f"{words[0]} place" if words[0].lower() in _ARTICLES else "A person"
        if previous in _ARTICLES:
            return "place"
        return "a town" if previous in _PLACES else "a person"

    return _NAME.sub(general, text)


def normal(text: str) -> str:
    """What makes two prompts the same: lower-case words only."""
    return " ".join(_WORD.findall(text.lower()))


def shingles(text: str) -> frozenset[str]:
    """Runs of SHINGLE words; of a shorter text, the text itself."""
    words = normal(text).split()
    runs = (" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1)))
    return frozenset(runs)


def similarity(a: frozenset[str], b: frozenset[str]) -> float:
    """Jaccard index of two sets of shingles, 0..1; two empty sets are alike."""
    return len(a & b) / len(a | b) if a or b else 1.0


class RecentPrompts:
    """The last `capacity` prompts that were let through, to tell new ones from repeats and near-repeats."""

    def __init__(self, capacity: int = 20_000, near: float = NEAR) -> None:
        self._near = near
        self._kept: deque[frozenset[str]] = deque()
        self._capacity = capacity
        self._holders: dict[str, list[frozenset[str]]] = {}

    def admit(self, text: str) -> bool:
        """True, and remembered, when no kept prompt is as similar as `near` or more."""
        new = shingles(text)
        candidates = {held for shingle in new for held in self._holders.get(shingle, ())}
        if any(similarity(new, held) >= self._near for held in candidates):
            return False
        if len(self._kept) >= self._capacity:
            self._forget(self._kept.popleft())
        self._kept.append(new)
        for shingle in new:
            self._holders.setdefault(shingle, []).append(new)
        return True

    def _forget(self, old: frozenset[str]) -> None:
        for shingle in old:
            holders = self._holders[shingle]
            holders.remove(old)
            if not holders:
                del self._holders[shingle]

    def __len__(self) -> int:
        return len(self._kept)
