"""People's files: what a folder holds, what a file is by its contents, and the way out for what is not taken."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neurons.commands.files import decoder, find, modality, read
from subnet.codec import image as codec
from subnet.codec.sandbox import VideoDecoder
from subnet.codec.video import Clip
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.types import Media, Modality


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
    if format != "BMP":
        assert modality(Path("nothing"), picture(format)[:16]) is Modality.IMAGE


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
        ("photo.jpg", HEIC, "HEIC files are not taken"),
        ("picture.avif", b"\0\0\0\x1cftypavif", "AVIF"),
        ("picture.jxl", b"\xff\x0a", "djxl"),
        ("photo.dng", picture("TIFF"), "develop it first"),
        ("notes.txt", b"text", "give an image"),
        ("broken.mp4", b"nothing", "export it again"),
        ("broken.jpg", b"<html>", "send JPEG, PNG or WebP$"),
        ("half.jpg", picture("JPEG")[:1500], "truncated"),
        ("none.jpg", None, "cannot be read"),
    ],
)
def test_what_is_not_taken_has_a_way_out(
    clips: VideoDecoder, tmp_path: Path, name: str, data: bytes | None, message: str
) -> None:
    """Each refusal says what to do, and leaves the name of the file to the caller."""
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(MediaError, match=message) as caught:
        read(tmp_path / name, clips)
    assert str(tmp_path) not in str(caught.value)


def test_files_that_are_too_large_are_not_read(clips: VideoDecoder, tmp_path: Path) -> None:
    """A sparse file of a gigabyte is refused by its size, before a byte of it is read."""
    for name, head in (("big.jpg", b"\xff\xd8\xff"), ("big.mp4", b"\0\0\0\x18ftypisom")):
        with (tmp_path / name).open("wb") as file:
            file.write(head)
            file.truncate(2**30)
        with pytest.raises(MediaTooLarge, match="smaller copy"):
            read(tmp_path / name, clips)


def test_a_folder_cannot_be_read_as_a_file(clips: VideoDecoder, tmp_path: Path) -> None:
    """A folder is no file of bytes, and is said to be none."""
    with pytest.raises(MediaUnreadable, match="no file of bytes"):
        read(tmp_path, clips)


def test_what_has_no_end_is_no_file(tmp_path: Path) -> None:
    """A link to a device and a named pipe are refused at once, by name; in a folder they are passed over."""
    (tmp_path / "endless.jpg").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.jpg")
    with decoder() as clips:
        for name in ("endless.jpg", "pipe.jpg"):
            with pytest.raises(MediaUnreadable, match="no file of bytes"):
                read(tmp_path / name, clips)
    assert find([tmp_path]).files == []
