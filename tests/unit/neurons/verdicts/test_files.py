"""People's files: what a folder holds, what a file is by its contents, and the way out for what is not taken."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from neurons.verdicts.files import decoder, find, read, several_in
from subnet.codec import image as codec
from subnet.codec.sandbox import VideoDecoder
from subnet.codec.still import readable
from subnet.codec.video import Clip
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.types import Media


@pytest.fixture(scope="module")
def clips() -> Iterator[VideoDecoder]:
    with decoder() as shared:
        yield shared


def picture(format: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)).save(buffer, format)
    return buffer.getvalue()


def clip() -> bytes:
    frames = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)
    return codec.encode_video(Media(frames, 8.0), 20)


def series(format: str, count: int = 3, **options: object) -> bytes:
    """Pictures one after the other, as the format has them."""
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (80, 90, 3), np.uint8)) for _ in range(count)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


def pyramid() -> bytes:
    """A TIFF file with two smaller copies of its picture."""
    buffer, image = io.BytesIO(), Image.open(io.BytesIO(picture("PNG")))
    smaller = TiffImagePlugin.ImageFileDirectory_v2()
    smaller[254] = 1
    with TiffImagePlugin.AppendingTiffWriter(buffer) as written:
        image.save(written, "TIFF")
        for factor in (2, 4):
            written.newFrame()
            image.reduce(factor).save(written, "TIFF", tiffinfo=smaller)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        *[(lambda f=f: picture(f), False) for f in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")],
        *[(lambda f=f: series(f), True) for f in ("PNG", "WEBP", "GIF", "TIFF")],
        (lambda: series("PNG", default_image=True), False),  # refused
        (lambda: series("MPO"), False),
        (pyramid, False),
        (clip, False),
        (lambda: b"", False),
        (lambda: series("GIF")[:5000], False),
        (lambda: b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", False),
        (lambda: b"\0\0\0\x1cftypavif\0\0\0\0avifmif1avis", True),
        (lambda: b"\0\0\0\x18ftypavif\0\0\0\0avifmif1avis", False),
    ],
)
def test_animations_and_pages_are_known(make: Callable[[], bytes], expected: bool) -> None:
    """In every format that has them, also behind a default picture; smaller copies and clips are none."""
    assert several_in(make()) is expected


def test_folders_are_walked_and_what_is_skipped_is_counted(tmp_path: Path) -> None:
    """Media at any depth in order; litter, empty files and other things counted by reason; named files always kept."""
    for name in ("b/2.JPG", "a.png", "c/d/e.webm", "f.heic"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"something")
    for name in (".hidden.jpg", "b/._2.jpg", "__MACOSX/2.jpg", "@eaDir/2.jpg", "notes.txt", "more.txt", "README"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"something")
    (tmp_path / "empty.jpg").touch()
    found = find([tmp_path, tmp_path / "notes.txt"])
    names = [str(file.relative_to(tmp_path)) for file in found.files]
    assert names == ["a.png", "b/2.JPG", "c/d/e.webm", "f.heic", "notes.txt"]
    assert found.skipped == {"hidden or litter": 4, "not media (.txt)": 2, "not media (no suffix)": 1, "empty": 1}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_images_are_known_by_their_contents(clips: VideoDecoder, tmp_path: Path, format: str) -> None:
    """An image is read whatever it is called, without a suffix too."""
    for name in (f"right.{format.lower()}", "wrong.jpg"):
        (tmp_path / name).write_bytes(picture(format))
        media = read(tmp_path / name, clips)
        assert isinstance(media, Media)
        assert media.frames.shape == (1, 80, 90, 3)


def test_clips_are_known_by_their_contents(clips: VideoDecoder, tmp_path: Path) -> None:
    """A clip under the name of a picture is a clip."""
    (tmp_path / "odd.jpg").write_bytes(clip())
    found = read(tmp_path / "odd.jpg", clips)
    assert isinstance(found, Clip)
    assert len(found.media.frames) == 6


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("photo.heic", HEIC, "heif-convert"),
        (
            "photo.jpg",
            HEIC,
            r"HEIC files are not taken here; save it as .*, or run `pip install 'assay-subnet\[heic\]'`",
        ),
        ("picture.avif", b"\0\0\0\x1cftypavif", "AVIF"),
        ("picture.jxl", b"\xff\x0a", "djxl"),
        ("photo.dng", picture("TIFF"), "develop it first"),
        ("notes.txt", b"text", "this is a text, no picture or clip; give a picture"),
        ("broken.mp4", b"\0\0\0\x18ftypisom", "export it anew as MP4$"),
        ("broken.jpg", b"<html>", "this is a web page, no picture or clip; give a picture"),
        ("half.jpg", picture("JPEG")[:1500], "truncated.*; copy or download it again, or save it anew as JPEG or PNG$"),
        ("none.jpg", None, "cannot be read"),
    ],
)
def test_what_is_not_taken_has_a_way_out(
    clips: VideoDecoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes | None, message: str
) -> None:
    """Each refusal says what to do, and leaves the name of the file to the caller. No optional decoder is there."""
    monkeypatch.setattr("neurons.verdicts.kinds.readable", frozenset)
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(MediaError, match=message) as caught:
        read(tmp_path / name, clips)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("format", ["AVIF", "HEIF"])
def test_pictures_of_phones_are_read_where_a_decoder_is_installed(
    clips: VideoDecoder, tmp_path: Path, format: str
) -> None:
    """As they are to be seen, whatever they are called; cut and damaged ones are refused with a way out."""
    name = {"AVIF": "AVIF", "HEIF": "HEIC"}[format]
    if name not in readable():
        pytest.skip(f"no decoder of {name} is installed here")
    if format == "HEIF":
        importlib.import_module("pillow_heif").register_heif_opener()
    level = np.linspace(0, 250, 90, dtype=np.uint8)
    frame = np.repeat(np.repeat(level[None, :, None], 80, 0), 3, 2)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter; pillow-heif writes none
    turned = np.rot90(frame, -1) if format == "AVIF" else frame
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format, quality=90, exif=exif)
    data = buffer.getvalue()
    for file in ("photo.heic", "photo.avif", "photo.jpg"):
        (tmp_path / file).write_bytes(data)
        media = read(tmp_path / file, clips)
        assert isinstance(media, Media)
        assert media.frames.shape == (1, *turned.shape)
        assert abs(media.frames[0].astype(int) - turned).mean() < 3
    (tmp_path / "cut.avif").write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaUnreadable, match="copy or download it again"):
        read(tmp_path / "cut.avif", clips)
    rng = np.random.default_rng(0)
    for _ in range(12):
        spoilt = bytearray(data)
        for at in rng.integers(12, len(data), 6):
            spoilt[at] = rng.integers(256)
        (tmp_path / "spoilt.avif").write_bytes(bytes(spoilt))
        with contextlib.suppress(MediaError):
            read(tmp_path / "spoilt.avif", clips)


def test_files_that_are_too_large_are_not_read(clips: VideoDecoder, tmp_path: Path) -> None:
    """A sparse file of a gigabyte is refused by its size, before a byte of it is read."""
    for name, head in (("big.jpg", b"\xff\xd8\xff"), ("big.mp4", b"\0\0\0\x18ftypisom")):
        with (tmp_path / name).open("wb") as file:
            file.write(head)
            file.truncate(2**30)
        with pytest.raises(MediaTooLarge, match="smaller copy"):
            read(tmp_path / name, clips)


def test_a_folder_cannot_be_read_as_a_file(clips: VideoDecoder, tmp_path: Path) -> None:
    """A folder is no plain file, and is said to be none."""
    with pytest.raises(MediaUnreadable, match="no plain file"):
        read(tmp_path, clips)


def test_what_has_no_end_is_no_file(tmp_path: Path) -> None:
    """A link to a device and a named pipe are refused at once, by name; in a folder they are passed over."""
    (tmp_path / "endless.jpg").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.jpg")
    with decoder() as clips:
        for name in ("endless.jpg", "pipe.jpg"):
            with pytest.raises(MediaUnreadable, match="no plain file"):
                read(tmp_path / name, clips)
    assert find([tmp_path]).files == []
