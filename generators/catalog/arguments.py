"""What one call of a pipeline is given: arguments drawn from a row's ranges. Pure; knows no model library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from generators.rows import GeneratorRow, Range
from subnet.errors import SettingsError
from subnet.types import JSON


@dataclass(frozen=True)
class Call:
    """The drawn arguments of one call, shared by the prompts it is given."""

    steps: int
    guidance: float | None
    height: int
    width: int
    frames: int | None = None
    strength: float | None = None

    def to_json(self) -> dict[str, JSON]:
        """For provenance: what was drawn, without what does not apply."""
        values: dict[str, JSON] = {
            "steps": self.steps,
            "guidance": self.guidance,
            "height": self.height,
            "width": self.width,
            "frames": self.frames,
            "strength": self.strength,
        }
        return {name: value for name, value in values.items() if value is not None}


def draw_call(row: GeneratorRow, rng: np.random.Generator) -> Call:
    """Steps, guidance, size, clip length and strength, each uniform over the row's choices."""
    steps, guidance, strength = (row.ranges.get(name) for name in ("steps", "guidance", "strength"))
    height, width = row.sizes[int(rng.integers(len(row.sizes)))]
    return Call(
        steps=1 if steps is None else round(steps.draw(rng)),
        guidance=None if guidance is None else round(guidance.draw(rng), 3),
        height=height,
        width=width,
        frames=None if row.frames is None else clip_length(row.frames, _whole(row.options, "frame_step", 1), rng),
        strength=None if strength is None else round(strength.draw(rng), 3),
    )


def clip_length(frames: Range, step: int, rng: np.random.Generator) -> int:
    """A legal number of frames: `low + n * step` that is not above `high`, each as likely."""
    low, high = int(frames.low), int(frames.high)
    return low + step * int(rng.integers((high - low) // step + 1))


def arguments(row: GeneratorRow, call: Call, accepted: Mapping[str, object]) -> dict[str, object]:
    """Keyword arguments for the pipeline, named as it names them; `accepted` are the names that it knows."""
    values: dict[str, object] = {"num_inference_steps": call.steps, "height": call.height, "width": call.width}
    if call.guidance is not None:
        values[str(row.options.get("guidance_argument", "guidance_scale"))] = call.guidance
    if call.frames is not None:
        values["num_frames"] = call.frames
    if call.strength is not None:
        values["strength"] = call.strength
    if row.fps is not None and "rate_argument" in row.options:
        values[str(row.options["rate_argument"])] = row.fps
    extra = row.options.get("call")
    values.update(extra if isinstance(extra, dict) else {})
    if call.strength is not None and "mask_image" not in accepted:
        for name in ("height", "width"):  # image-to-image takes its size from the picture
            values.pop(name)
    unknown = [name for name in values if name not in accepted]
    if unknown:
        raise SettingsError(f"generator {row.name!r}: {row.pipeline} takes no {', '.join(unknown)}; mend the row")
    return values


def batch_size(row: GeneratorRow) -> int:
    """How many prompts the row takes at once."""
    return max(1, _whole(row.options, "batch", 1))


def fit(text: str, count: Callable[[str], int], limit: int) -> str:
    """The longest run of whole words from the start of `text` for which `count` is at most `limit`.

    A single word that is too long is cut by characters. `count` must not fall when text is added.
    """
    if count(text) <= limit:
        return text
    words = text.split()
    short = " ".join(words[: _longest(len(words), lambda n: count(" ".join(words[:n])) <= limit)])
    if short or not words:
        return short
    return words[0][: _longest(len(words[0]), lambda n: count(words[0][:n]) <= limit)]


def _longest(high: int, fits: Callable[[int], bool]) -> int:
    """The largest n in 0..high with fits(n), by bisection; fits(0) is taken for granted."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _whole(options: Mapping[str, JSON], name: str, default: int) -> int:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise SettingsError(f"the option {name} of a row is a whole number, not {value!r}")
    return value
