"""All clues of a file together: apart from the verdict, in one order, and for every file that can be decoded."""

from __future__ import annotations

import json

from PIL import PngImagePlugin

from detectors.loading import open_detector
from neurons.provenance.clue import State
from neurons.provenance.evidence import evidence
from neurons.verdicts.files import decoded, decoder
from neurons.verdicts.judging import judge
from subnet.codec import image as codec
from subnet.types import Media
from tests.unit.neurons.provenance.pictures import jpeg, photograph, saved

PICTURE = photograph()[:256, :256]
NAMES = [
    *("content credentials", "digital source type", "generator tags", "camera tags"),
    *("JPEG quality", "saved as JPEG before", "rescaling", "invisible watermark"),
]


def test_clues_never_move_the_answer() -> None:
    """The same pixels with tags of a generator and without: other clues, the very same number and verdict."""
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler")
    npr = open_detector("npr")
    told = []
    with decoder() as clips:
        for data in (saved(PICTURE, "PNG"), saved(PICTURE, "PNG", pnginfo=info)):
            given = decoded(data, clips)
            found = judge("photo.png", given, npr).found
            told.append((found["p_synthetic"], found["verdict"], evidence(data, given)))
    assert told[0][:2] == told[1][:2]
    states = [{clue.name: clue.state for clue in clues}["generator tags"] for *_, clues in told]
    assert states == [State.NOTHING, State.FOUND]


def test_every_format_has_every_clue() -> None:
    """In one order, each with a sentence, what it proves, and JSON of it."""
    with decoder() as clips:
        for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
            data = saved(PICTURE, kind)
            clues = evidence(data, decoded(data, clips, f".{kind.lower()}"))
            assert [clue.name for clue in clues] == NAMES
            assert all(clue.says.endswith(".") and clue.proves.endswith(".") for clue in clues)
            json.dumps([clue.to_json() for clue in clues])
        clip = codec.encode_video(Media(PICTURE[None].repeat(6, 0), 8.0), 30)
        names = [clue.name for clue in evidence(clip, decoded(clip, clips))]
    assert names == ["content credentials", "generator tags", "camera tags", "container tags", "invisible watermark"]


def test_a_jpeg_with_a_history_tells_it() -> None:
    """Saved at 60, then 90: the last quality, and that there was one before."""
    with decoder() as clips:
        data = jpeg(photograph(1), 60, 90)
        clues = {clue.name: clue for clue in evidence(data, decoded(data, clips))}
    assert "quality 90" in clues["JPEG quality"].says
    assert clues["saved as JPEG before"].state is State.FOUND
