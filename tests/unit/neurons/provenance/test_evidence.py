"""All clues of a file together: apart from the verdict, in one order, and for every file that can be decoded."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import av
import pytest
from PIL import Image, PngImagePlugin

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


def many() -> bytes:
    """More texts than are looked through, the last of them a generator's."""
    info = PngImagePlugin.PngInfo()
    for number in range(99):
        info.add_text(f"note {number}", "nothing")
    info.add_text("Software", "Midjourney")
    return saved(PICTURE, "PNG", pnginfo=info)


def text(*, zip: bool, before: str = "", behind: str = "", name: str = "parameters") -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text(name, before + "a cat\nSteps: 20, Sampler: Euler" + behind, zip=zip)
    return saved(PICTURE, "PNG", pnginfo=info)


def described(length: int) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "x" * length + " Midjourney"
    return saved(PICTURE, "PNG", exif=exif)


PARTS: dict[str, Callable[[], bytes]] = {
    "a compressed text of 2 MiB": lambda: text(zip=True, behind="x" * 2**21),
    "a generator's words behind much else": lambda: text(zip=False, before="x" * 10**5),
    "many texts": many,
    "a long description in EXIF": lambda: described(70_000),
    "damaged XMP": lambda: saved(PICTURE, xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf"),
}


@pytest.mark.parametrize("kind", PARTS)
def test_what_was_not_read_is_not_nothing(kind: str) -> None:
    """Tags that could not be read, or not all of them: never that none names a generator, or a camera."""
    data = PARTS[kind]()
    with decoder() as clips:
        clues = {clue.name: clue.state for clue in evidence(data, decoded(data, clips))}
    assert clues["generator tags"] is State.NOT_READ
    assert clues["camera tags"] is State.NOT_READ
    assert (clues["digital source type"] is State.NOT_READ) is (kind in ("a compressed text of 2 MiB", "damaged XMP"))


def test_tags_of_clips_that_were_cut_are_not_nothing() -> None:
    """A title of a thousand characters may end with a name; a short one has none."""
    states = []
    for title in ("a cat", "a cat" * 200):
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp4") as container:
            container.metadata["title"] = title
            stream = container.add_stream("libx264", rate=8, width=64, height=64, pix_fmt="yuv420p")
            for frame in PICTURE[None, :64, :64].repeat(6, 0):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
        with decoder() as clips:
            clues = evidence(buffer.getvalue(), decoded(buffer.getvalue(), clips))
        states.append({clue.name: clue.state for clue in clues}["generator tags"])
    assert states == [State.NOTHING, State.NOT_READ]


def test_long_settings_are_found() -> None:
    """Such as a workflow of megabytes: the mark stands at its beginning."""
    data = text(zip=False, behind="x" * 2**21)
    with decoder() as clips:
        clues = {clue.name: clue.state for clue in evidence(data, decoded(data, clips))}
    assert clues["generator tags"] is State.FOUND


def test_a_jpeg_with_a_history_tells_it() -> None:
    """Saved at 60, then 90: the last quality, and that there was one before."""
    with decoder() as clips:
        data = jpeg(photograph(1), 60, 90)
        clues = {clue.name: clue for clue in evidence(data, decoded(data, clips))}
    assert "quality 90" in clues["JPEG quality"].says
    assert clues["saved as JPEG before"].state is State.FOUND
