"""Tags of generators and cameras, as tools write them, and texts of strangers in them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from neurons.provenance.clue import MOST, State
from neurons.provenance.metadata import metadata
from neurons.provenance.tags import camera, container, generator
from tests.unit.neurons.provenance.pictures import photograph, saved

SETTINGS = "a lighthouse\nNegative prompt: fog\nSteps: 28, Sampler: DPM++ 2M, CFG scale: 7, Seed: 12345, Size: 512x512"
SMALL = photograph()[:64, :64]


def png(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_text(name.replace("__", "-"), text)
    return saved(SMALL, "PNG", pnginfo=info)


def with_exif(format: str = "JPEG", **tags: str) -> bytes:
    exif = Image.Exif()
    for name, text in tags.items():
        exif[{"software": 0x0131, "make": 0x010F, "model": 0x0110, "artist": 0x013B}[name]] = text
    return saved(SMALL, format, exif=exif)


def texts(data: bytes) -> list[tuple[str, str]]:
    found = metadata(data)
    return [*found.exif, *found.texts]


@pytest.mark.parametrize(
    ("data", "tool"),
    [
        (lambda: png(parameters=SETTINGS), "AUTOMATIC1111"),
        (lambda: png(prompt=json.dumps({"3": {"class_type": "KSampler"}})), "ComfyUI"),
        (lambda: png(workflow=json.dumps({"nodes": []})), "ComfyUI"),
        (lambda: png(invokeai_metadata="{}"), "InvokeAI"),
        (lambda: png(Software="NovelAI"), "NovelAI"),
        (lambda: with_exif(software="Adobe Firefly 3"), "Firefly"),
        (lambda: with_exif("WEBP", software="Stable Diffusion XL"), "Stable Diffusion"),
        (lambda: with_exif("PNG", software="Midjourney v7"), "Midjourney"),
        (lambda: saved(SMALL, comment=b"made with DALL-E 3"), "DALL-E"),
    ],
)
def test_generators_are_named(data: Callable[[], bytes], tool: str) -> None:
    """By the settings that tools write, and by names in fields for software; a fact shows the text."""
    clue = generator(texts(data()))
    assert clue.state is State.FOUND
    assert tool.lower() in clue.says.lower()
    assert clue.facts


def test_a_comment_in_exif_is_read_in_its_own_encoding() -> None:
    """Settings that JPEG files of AUTOMATIC1111 have in UserComment, in UTF-16 of either order."""
    for encoding in ("utf-16-be", "utf-16-le"):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + SETTINGS.encode(encoding)
        assert generator(texts(saved(SMALL, exif=exif))).state is State.FOUND


@pytest.mark.parametrize(
    "data",
    [
        lambda: saved(SMALL),
        lambda: png(parameters="none to speak of", prompt="a lighthouse", Comment="hello"),
        lambda: with_exif(software="GIMP 3.0", make="Veo", model="Sora"),
        lambda: with_exif(artist="Sora Kling"),
    ],
)
def test_other_tags_are_no_generator(data: Callable[[], bytes]) -> None:
    """People and cameras may be called like generators; a chunk of the right name needs the right contents."""
    assert generator(texts(data())).state is State.NOTHING


def test_cameras_are_told() -> None:
    """Make and model; without them nothing."""
    clue = camera(texts(with_exif(make="Canon", model="EOS R5")))
    assert clue.facts == (("Make", "Canon"), ("Model", "EOS R5"))
    assert camera(texts(saved(SMALL))).state is State.NOTHING
    assert camera((("com.apple.quicktime.model", "iPhone 17"),)).state is State.FOUND


def test_containers_tell_their_writer_and_nothing_dull() -> None:
    """The encoder is a fact, brands are none."""
    assert container((("encoder", "Lavf62"), ("major_brand", "isom"))).facts == (("encoder", "Lavf62"),)
    assert container((("major_brand", "isom"),)).state is State.NOTHING


def test_texts_of_strangers_are_cut_and_printable() -> None:
    """A megabyte with signs that a terminal acts upon becomes one short line."""
    clue = generator(texts(png(parameters=SETTINGS + "\x1b[31m\u202e" + "x" * 10**6)))
    assert all(len(text) <= MOST + 3 and text.isprintable() for _, text in clue.facts)


def test_broken_metadata_is_no_error() -> None:
    """Every cut and many flips of the metadata of a JPEG, PNG and WebP file: a result, and no warning."""
    rng = np.random.default_rng(0)
    for data in (with_exif(make="Canon", software="x" * 300), with_exif("PNG", make="C"), with_exif("WEBP", make="C")):
        start = data.find(b"Canon") if b"Canon" in data else data.find(b"MM\0*")
        with warnings.catch_warnings(action="error"):
            for cut in range(2, len(data), max(1, len(data) // 60)):
                metadata(data[:cut])
            for _ in range(300):
                spoilt = bytearray(data)
                for at in rng.integers(max(0, start - 100), start + 200, 4):
                    spoilt[min(at, len(spoilt) - 1)] = rng.integers(256)
                metadata(bytes(spoilt))


def test_a_bomb_of_texts_is_bounded() -> None:
    """Compressed texts that would fill memory are refused by the reader, and said to be unread."""
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "x" * 80_000_000, zip=True)
    found = metadata(saved(SMALL, "PNG", pnginfo=info))
    assert not found.complete
    assert found.texts == ()


def test_a_picture_of_each_format_has_metadata() -> None:
    """Nothing is found in plain files, and the format is known."""
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        found = metadata(saved(SMALL, kind))
        assert (found.format, found.xmp, found.complete) == (kind, b"", True)
    assert not metadata(b"nothing").complete
