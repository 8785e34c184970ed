"""Tags that tools write: of generators and their settings, of cameras, of what wrote a clip's container. Pure.

Formats: "parameters" of AUTOMATIC1111 and its kin, "prompt" and "workflow" of ComfyUI, "invokeai_metadata" and
"sd-metadata" of InvokeAI, JSON in "Comment" of NovelAI; else names in fields that say what software wrote the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from neurons.provenance.clue import Clue, State, told

Texts = Sequence[tuple[str, str]]

_SETTINGS: Final = {  # a chunk's name and a mark within it -> the tool
    "parameters": (re.compile(r"\bSteps: \d+.*\bSampler: ", re.DOTALL), "AUTOMATIC1111 or a tool like it"),
    "UserComment": (re.compile(r"\bSteps: \d+.*\bSampler: ", re.DOTALL), "AUTOMATIC1111 or a tool like it"),
    "prompt": (re.compile(r'"class_type"\s*:'), "ComfyUI"),
    "workflow": (re.compile(r'"nodes"\s*:'), "ComfyUI"),
    "invokeai_metadata": (re.compile(r"\{"), "InvokeAI"),
    "sd-metadata": (re.compile(r"\{"), "InvokeAI"),
    "Comment": (re.compile(r'"sampler"\s*:'), "NovelAI"),
}
_NAMES: Final = re.compile(
    r"\b(?:stable[ -]?diffusion|sdxl|midjourney|dall[-·. ]?e|openai|adobe firefly|novelai|comfyui|invokeai|fooocus|"
    r"leonardo\.ai|flux\.\d|runwayml|pika labs|luma ai|hailuo|seedream|seedance|playground ai|nightcafe|dreamstudio|"
    r"made with google ai)\b",
    re.IGNORECASE,
)
_WORDS: Final = re.compile(  # also names of people and things: they count where software is named, and nowhere else
    r"\b(?:sora|firefly|draw things|ideogram|imagen|gemini|veo|grok|runway|kling|recraft|diffusers|flux)\b",
    re.IGNORECASE,
)
_SOFTWARE: Final = frozenset(
    ("software", "creatortool", "softwareagent", "encoder", "encoded_by", "com.apple.quicktime.software", "source")
)
_WORDY: Final = frozenset(
    ("imagedescription", "description", "comment", "usercomment", "title", "artist", "author", "credit")
)
_CAMERA: Final = frozenset(
    (
        *("make", "model", "lensmodel", "datetimeoriginal", "com.apple.quicktime.make", "com.apple.quicktime.model"),
        *("com.android.version", "com.apple.quicktime.creationdate"),
    )
)
_DULL: Final = frozenset(("major_brand", "minor_version", "compatible_brands", "language", "vendor_id"))
_GENERATOR_PROVES: Final = (
    "Tools write such tags when they make a picture, and anybody can write, copy or remove them: found, they are a "
    "reason to believe it was generated and no proof; missing, they say nothing."
)
_CAMERA_PROVES: Final = (
    "Cameras write such tags, and so can anybody with an editor; they are often kept when a picture is changed, so "
    "they do not show that it is as the camera took it."
)
_CONTAINER_PROVES: Final = (
    "They name the program that wrote the file last, which for most shared clips is an editor or a website; they can "
    "be written at will."
)


def generator(texts: Texts, *, complete: bool = True) -> Clue:
    """Settings and names of generators among `texts`, by name of field; `complete` is whether these are all."""
    found = tuple(_generators(texts))
    if not found:
        return _none("generator", _GENERATOR_PROVES, complete)
    tools = ", ".join(dict.fromkeys(tool for tool, _ in found))
    facts = tuple(fact for _, fact in found)
    return Clue("generator tags", State.FOUND, f"Tags name a generator: {tools}.", _GENERATOR_PROVES, facts)


def _generators(texts: Texts) -> Iterator[tuple[str, tuple[str, str]]]:
    for name, text in texts:
        mark, tool = _SETTINGS.get(name, (None, ""))
        if mark is not None and mark.search(text):
            yield tool, (told(name), told(text))
        elif named := _named(name.lower(), text):
            yield told(named[0]), (told(name), told(text))


def _named(field: str, text: str) -> re.Match[str] | None:
    if field in _SOFTWARE:
        return _NAMES.search(text) or _WORDS.search(text)
    return _NAMES.search(text) if field in _WORDY else None


def camera(texts: Texts, *, complete: bool = True) -> Clue:
    """What is said of a camera, lens and time; `complete` as for `generator`."""
    found = tuple((told(name), told(text)) for name, text in texts if name.lower() in _CAMERA and text.strip())
    if not found:
        return _none("camera", _CAMERA_PROVES, complete)
    return Clue("camera tags", State.FOUND, "Tags name a camera, a lens, or when it was taken.", _CAMERA_PROVES, found)


def _none(what: str, proves: str, complete: bool) -> Clue:
    if complete:
        return Clue(f"{what} tags", State.NOTHING, f"No tag names a {what}.", proves)
    says = f"Some tags cannot be read within the bounds here; of the others none names a {what}."
    return Clue(f"{what} tags", State.NOT_READ, says, proves)


def container(texts: Texts) -> Clue:
    """All else that a clip's container says."""
    found = tuple((told(name), told(text)) for name, text in texts if name.lower() not in _DULL | _CAMERA)
    if not found:
        return Clue("container tags", State.NOTHING, "The container has no tags.", _CONTAINER_PROVES)
    return Clue("container tags", State.FOUND, "The container says how it was written.", _CONTAINER_PROVES, found)
