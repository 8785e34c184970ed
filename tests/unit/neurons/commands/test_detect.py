"""`assay detect`: what it says of files, and of files that cannot be judged."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.checkpoints import write
from detectors.npr.network import NPR
from detectors.rows import Preprocess
from neurons.commands.detect import detect, read
from subnet.codec import image as codec
from subnet.codec.sandbox import VideoDecoder
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable, SettingsError
from subnet.types import Media
from tests.unit.detectors.folders import photos


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An NPR checkpoint with random weights."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("weights") / "npr.safetensors"
    write(path, NPR().state_dict(), preprocess=Preprocess(size=128), notes={"detector": "npr"})
    return path


def noise(*shape: int) -> Media:
    frames = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    return Media(frames, None if shape[0] == 1 else 8.0)


def test_judges_explains_and_goes_on(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A good file gets answer, verdict, PNG and JSON; a broken one its reason; the status is a failure at the end."""
    good, bad = tmp_path / "good.png", tmp_path / "bad.jpg"
    good.write_bytes(codec.encode_png(photos(1)[0][1]))
    bad.write_bytes(b"<html>")
    with pytest.raises(MediaUnreadable, match="1 of 2 files"):
        detect(good, bad, detector=str(weights), explain=True, out=tmp_path / "why", device="cpu", json=True)
    first, second = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0 <= first["p_synthetic"] <= 1
    assert first["verdict"] in {"real", "uncertain", "synthetic"}
    assert Path(first["heat_map"]).read_bytes()[:4] == b"\x89PNG"
    assert json.loads(Path(first["heat_map"]).with_suffix(".json").read_text())["cells"] == first["cells"]
    assert set(first["deletion"]) >= {"salient", "random", "gain", "faithful"}
    assert "bad.jpg" in second["error"]
    assert "export it again" in second["error"]


def test_clips_have_a_timeline(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A clip is decoded in a child process and answered over time."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(codec.encode_video(noise(6, 64, 64), 20))
    detect(clip, detector=f"frames={weights}", device="cpu", json=True)
    (found,) = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [moment["frame"] for moment in found["timeline"]] == list(range(6))
    with pytest.raises(MediaUnreadable, match="--detector frames"):
        detect(clip, detector=str(weights), device="cpu", json=True)


def huge_png() -> bytes:
    """A PNG that says it is 30000 x 30000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_what_cannot_be_judged_says_why_and_what_to_do(tmp_path: Path) -> None:
    """A pixel, a giant, three frames, a text, and nothing at all: each names the file and the way out."""
    cases: list[tuple[str, bytes | None, type[MediaError], str]] = [
        ("one.png", codec.encode_png(noise(1, 1, 1)), MediaUnreadable, "1x1 pixels: at least 32"),
        ("huge.png", huge_png(), MediaTooLarge, "smaller copy"),
        ("short.mp4", codec.encode_video(noise(3, 64, 64), 20), MediaUnreadable, "3 frames: a clip needs 4"),
        ("broken.mp4", b"nothing", MediaUnreadable, "export it again"),
        ("notes.txt", b"text", MediaUnreadable, "give an image"),
        ("none.jpg", None, MediaUnreadable, "cannot be read"),
    ]
    with VideoDecoder() as decoder:
        for name, data, kind, message in cases:
            file = tmp_path / name
            if data is not None:
                file.write_bytes(data)
            with pytest.raises(kind, match=message) as caught:
                read(file, decoder)
            assert name in str(caught.value)


def test_flags_that_are_wrong() -> None:
    """No file, and a device that is not there, are told by name."""
    with pytest.raises(SettingsError, match="FILE"):
        detect()
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="no CUDA device"):
            detect(Path("x.png"), device="cuda")
