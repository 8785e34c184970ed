"""What is said of the worst files, in all three ways that people send them, and what a file is by its contents."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from neurons.gateway.requests import uploads
from neurons.gateway.requests.problems import Refusal
from neurons.verdicts.files import decoded, decoder
from neurons.verdicts.kinds import START, Formats, modality, read_here, told
from neurons.web import trying
from subnet.codec.sandbox import VideoDecoder
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.types import Modality
from tests.unit.neurons.gateway.rig import clip, picture
from tests.unit.subnet.codec.test_image import FOREIGN, LARGE, ODD, photo
from tests.unit.subnet.codec.test_sandbox import GOOD, HOSTILE

HALVES = {
    f"half a {kind}": photo(kind)[: len(photo(kind)) // 2]
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
}
OTHERS = {
    "half a clip": GOOD[: len(GOOD) // 2],
    "a bad check sum": photo("PNG")[:-20] + bytes(4) + photo("PNG")[-16:],
    "an archive": b"PK\x03\x04" + bytes(300),
    "a song": b"ID3\x04" + bytes(300),
    "a sound": b"RIFF\x24\x08\0\0WAVEfmt " + bytes(300),
    "HEIC": b"\0\0\0\x18ftypheic" + bytes(100),
    "a raw picture": b"\0\0\0\x18ftypcrx " + bytes(100),
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99),
}
WORST = {
    **{name: make() for name, make in {**FOREIGN, **ODD, **LARGE, **HOSTILE}.items() if name != "too many bytes"},
    **HALVES,
    **OTHERS,
}
FOR_EXPERTS = re.compile(r"b'|b\"|\\x|<[a-z]+|Error|Exception|\(\)|Traceback")


@pytest.fixture(scope="module")
def clips() -> Iterator[tuple[VideoDecoder, VideoDecoder, VideoDecoder]]:
    with decoder() as own, trying.decoder() as form, uploads.decoder(1) as gateway:
        yield own, form, gateway


@pytest.mark.parametrize("name", WORST)
def test_every_refusal_says_what_is_wrong_and_what_to_do(
    clips: tuple[VideoDecoder, VideoDecoder, VideoDecoder], name: str
) -> None:
    """In one sentence without anything of Python, and never the way out of a clip for a picture."""
    said = []
    for given, images in ((clips[0], decoded.__defaults__[1]), (clips[1], trying.IMAGES)):  # type: ignore[index]
        try:
            decoded(WORST[name], given, images=images)
        except MediaError as error:
            said.append(str(error))
    try:
        uploads.decoded(uploads.recognised(WORST[name]), clips[2])
    except Refusal as error:
        said.append(str(error))
    for text in said:
        wrong, _, way = text.partition("; ")
        assert wrong
        assert way
        assert not FOR_EXPERTS.search(text), text
        assert "MP4" not in text or name not in HALVES, text
    assert name in ("jpeg 65500x1 claimed",) or said


def test_the_formats_that_are_named_are_those_that_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """AVIF and HEIC stand among them where they can be read, and who asks a gateway hears what that takes."""
    for there, names in (
        (frozenset[str](), "GIF, TIFF or BMP)"),
        (frozenset({"AVIF", "HEIC"}), "GIF, TIFF, BMP, AVIF or HEIC)"),
    ):
        monkeypatch.setattr("neurons.verdicts.kinds.readable", lambda there=there: there)
        with pytest.raises(MediaUnreadable, match=re.escape(f"give a picture (JPEG, PNG, WebP, {names}")):
            modality(b"%PDF-1.7", ".jpg", read_here())
    with pytest.raises(
        MediaUnreadable, match=r"\(JPEG, PNG or WebP\) or a clip \(MP4, QuickTime, Matroska, WebM or AVI"
    ):
        modality(b"%PDF-1.7", ".jpg", uploads.FORMATS)


def test_only_who_may_install_hears_how() -> None:
    """A visitor of a site cannot install a decoder there."""
    taken = ("JPEG", "PNG")
    for installs in (True, False):
        with pytest.raises(MediaUnreadable) as caught:
            modality(OTHERS["HEIC"], ".jpg", Formats(taken, installs))
        assert ("pip install" in str(caught.value)) is installs


def test_contents_count_and_not_names() -> None:
    """A picture is one, and a clip a clip, under any name; only raw pictures of cameras are told by it."""
    for suffix in ("", ".txt", ".mp4", ".heic"):
        assert modality(picture(True)[:START], suffix, uploads.FORMATS) is Modality.IMAGE
        assert modality(clip(True)[:START], suffix, uploads.FORMATS) is Modality.VIDEO
    with pytest.raises(MediaUnreadable, match="develop it first"):
        modality(photo("TIFF")[:START], ".DNG", read_here())


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><svg>", "web page"),
        (b"<?xml version='1.0'?><svg>", "drawing"),
        ("h\u00e4llo".encode("utf-16"), "a text"),
        ("\u00e4".encode() * 300, "a text"),
        (b"\xff\xfb\x90\x64" + bytes(100), "sound"),
        (b"\0\0\0\x18ftypM4A " + bytes(99), "sound"),
        (b"\0\0\x01\xba" + bytes(99), "MPEG-2"),
        (b"\0\1\2\3\4\5", "no picture or clip that is known here"),
    ],
)
def test_what_is_neither_is_named(start: bytes, what: str) -> None:
    """By its contents, whatever its name."""
    with pytest.raises(MediaUnreadable, match=what):
        modality(start[:START], ".jpg", read_here())


def test_what_a_decoder_says_stays() -> None:
    """Where it said what to do nothing is added; its kind stays."""
    assert str(told(MediaUnreadable("it is odd; save it as grey"), Modality.IMAGE)) == "it is odd; save it as grey"
    assert isinstance(told(MediaTooLarge("it is large"), Modality.VIDEO), MediaTooLarge)
