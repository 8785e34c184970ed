"""One sentence of motion for a video prompt: what moves, and one move of the camera. Pure."""

from __future__ import annotations

import numpy as np

_SUBJECT = (
    "It moves slowly and naturally",
    "The subject turns a little and settles again",
    "A light wind stirs everything that is loose",
    "The scene stays calm while small things shift",
    "People and objects go about their way without haste",
    "Shadows drift across the ground",
    "The movement starts gently and grows",
    "Leaves, cloth and hair sway",
)
_CAMERA = (
    "as the camera pans slowly to the left",
    "as the camera pans slowly to the right",
    "while the camera pushes in",
    "while the camera pulls back",
    "as the camera tilts up",
    "as the camera tilts down",
    "while the camera circles a quarter turn",
    "filmed with a steady camera",
    "filmed by hand with a slight sway",
    "while the camera follows along",
)
_MOVES = ("camera", "pans", "tracking shot", "zoom", "tilts", "dolly")


def with_motion(prompt: str, rng: np.random.Generator) -> str:
    """The prompt with a sentence of motion behind it, unless it already speaks of the camera."""
    if any(word in prompt.lower() for word in _MOVES):
        return prompt
    subject, camera = _SUBJECT[int(rng.integers(len(_SUBJECT)))], _CAMERA[int(rng.integers(len(_CAMERA)))]
    return f"{prompt.rstrip(' .')}. {subject} {camera}."
