"""The leak meter finds every planted shortcut, and nothing where there is none."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from subnet.codec import image as codec
from subnet.errors import DataError
from subnet.media.leak.appearance import duplicates, perceptual_hash, sharpness
from subnet.media.leak.container_traits import traits
from subnet.media.leak.meter import File, LeakReport, LeakVerdict, Probe, measure
from subnet.types import Frames, Label, Media

Plant = Callable[[File, np.random.Generator], File]


def picture(rng: np.random.Generator, size: int = 64) -> Frames:
    """A smooth random scene with some noise."""
    coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    return (
        (np.asarray(coarse)[None].astype(int) + rng.integers(-8, 8, (1, size, size, 3))).clip(0, 255).astype(np.uint8)
    )


def files(count: int = 120, plant: Plant | None = None, seed: int = 1) -> list[File]:
    """Real and fake alike in everything, but for what `plant` does to the fakes."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        label = Label(int(rng.integers(2)))
        data = codec.encode_image(Media(picture(rng)), int(rng.integers(85, 98)))
        file = File(data, f"{rng.integers(10**8):08d}.jpg", float(rng.uniform(1.7e9, 1.71e9)), label)
        made.append(plant(file, rng) if plant and label is Label.SYNTHETIC else file)
    return made


def recoded(file: File, **options: object) -> File:
    with Image.open(io.BytesIO(file.data)) as image:
        out = io.BytesIO()
        image.save(out, **options)  # type: ignore[arg-type]
    return replace(file, data=out.getvalue())


def probe(report: LeakReport, name: str) -> Probe:
    return next(p for p in report.container if p.name == name)


def test_nothing_is_found_where_there_is_nothing() -> None:
    """With alike files no container probe is sure of a leak, and the intervals hold chance."""
    report = measure(files(300))
    assert report.verdict is not LeakVerdict.LEAK
    assert all(p.low <= 0.55 for p in report.container)
    assert report.real + report.synthetic == 300
    assert report.undecodable == 0


EXIF = Image.Exif()
EXIF[0x010F] = "A camera"
PLANTS: dict[str, tuple[str, Plant]] = {
    "png": ("format", lambda f, rng: recoded(f, format="PNG")),
    "webp": ("format", lambda f, rng: recoded(f, format="WEBP")),
    "progressive": ("format", lambda f, rng: recoded(f, format="JPEG", progressive=True)),
    "sampling": ("format", lambda f, rng: recoded(f, format="JPEG", subsampling=0)),
    "size": ("dimension", lambda f, rng: replace(f, data=codec.encode_image(Media(picture(rng, 72)), 90))),
    "quality": ("table", lambda f, rng: recoded(f, format="JPEG", quality=int(rng.integers(60, 86)))),
    "exif": ("meta", lambda f, rng: recoded(f, format="JPEG", exif=EXIF.tobytes(), quality=90)),
    "comment": ("meta", lambda f, rng: recoded(f, format="JPEG", comment=b"made by a model", quality=90)),
    "trailing": ("meta", lambda f, rng: replace(f, data=f.data + b"\0" * 10)),
    "name": ("name", lambda f, rng: replace(f, name=f"seed_{f.name}")),
}


@pytest.mark.parametrize("kind", PLANTS)
def test_every_planted_shortcut_is_found(kind: str) -> None:
    """Its group of traits alone tells the label, and so do all together; the verdict is a leak that names it."""
    group, plant = PLANTS[kind]
    report = measure(files(plant=plant))
    assert report.verdict is LeakVerdict.LEAK
    assert probe(report, group).low > 0.55
    assert probe(report, "all").auc > 0.8
    assert any(warning.startswith(group) for warning in report.warnings)


def test_times_are_warned_of_and_not_judged() -> None:
    """Files copied class after class differ in their times only: that is told, and is no leak."""
    report = measure(files(plant=lambda f, rng: replace(f, changed=f.changed + 2e7)))
    assert report.verdict is not LeakVerdict.LEAK
    assert probe(report, "time").low > 0.55 > probe(report, "all").low
    assert any(warning.startswith("time") for warning in report.warnings)


def test_blur_is_reported_apart_and_is_no_container_leak() -> None:
    """Soft fakes raise the probes of sharpness and size with a warning each; the container stays clean."""

    def soften(file: File, rng: np.random.Generator) -> File:
        frames = codec.decode_image(file.data).frames[0]
        soft = np.asarray(Image.fromarray(frames).reduce(2).resize((64, 64), Image.Resampling.BICUBIC))
        return replace(file, data=codec.encode_image(Media(soft[None]), int(rng.integers(85, 98))))

    report = measure(files(200, plant=soften))
    assert report.verdict is not LeakVerdict.LEAK
    assert report.sharpness.low > 0.65
    assert report.size.auc > 0.65
    assert len(report.warnings) == 2


def test_a_video_rate_is_a_shortcut() -> None:
    """Clips that differ in frames per second only are told apart by their dimensions."""
    rng = np.random.default_rng(0)
    made = []
    for n in range(40):
        frames = np.concatenate([picture(rng) for _ in range(3)])
        data = codec.encode_video(Media(frames, 24.0 if n % 2 else 30.0), 22)
        made.append(File(data, "", 0.0, Label(n % 2)))
    report = measure(made)
    assert probe(report, "dimension").low > 0.55
    assert probe(report, "table").auc == 0.5


def test_groups_keep_twins_from_judging_each_other() -> None:
    """A trait shared only by the twins of one source tells nothing about other sources."""
    rng = np.random.default_rng(0)
    base = files(100)
    twins = [replace(f, name=f"{n // 2:03d}{'ab'[n % 2]}.jpg", label=Label(n // 2 % 2)) for n, f in enumerate(base)]
    shuffled = [twins[i] for i in rng.permutation(len(twins))]
    alone = measure(shuffled)
    grouped = measure([replace(f, group=f.name[:3]) for f in shuffled])
    assert probe(grouped, "name").auc < probe(alone, "name").auc


def test_intervals_count_groups_not_items() -> None:
    """Eight crops of each of thirty photographs make the interval of a property wider than 240 photographs would."""
    rng = np.random.default_rng(3)
    made = []
    for number in range(30):
        data = codec.encode_image(Media(picture(rng)), int(rng.integers(60, 98)))
        crops = [File(data, f"{n}.jpg", 1.7e9, Label(number % 2), f"photo {number}") for n in range(8)]
        made += crops
    grouped, alone = measure(made).size, measure([replace(file, group="") for file in made]).size
    assert grouped.auc == alone.auc
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_too_few_items_are_refused() -> None:
    """One class, or a handful, is no basis for a verdict."""
    with pytest.raises(DataError, match="10 items of each label"):
        measure([file for file in files(40) if file.label is Label.REAL])


def test_broken_files_are_counted_not_fatal() -> None:
    """Files that cannot be decoded have traits; they are left out of sharpness and colour."""
    report = measure(files(plant=lambda f, rng: replace(f, data=f.data[:300]) if rng.random() < 0.3 else f))
    assert report.undecodable > 0


@given(
    st.binary(max_size=400),
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF....WEBP", b"\0\0\0\x18ftyp"]),
)
def test_any_bytes_have_traits(data: bytes, start: bytes) -> None:
    """No input makes the reading of traits raise."""
    assert "time.changed" in traits(start + data, "x", 1.0)
    assert "name.length" in traits(data, "x", 1.0)


def test_near_duplicates_across_sets_are_found() -> None:
    """A re-encoded, slightly resized copy is found; different scenes are not."""
    rng = np.random.default_rng(3)
    scenes = [Media(picture(rng, 128)) for _ in range(8)]
    copy = codec.normalise(codec.decode_image(codec.encode_image(scenes[5], 60)), None, (100, 100))
    found = duplicates([(str(n), scene) for n, scene in enumerate(scenes)], [("copy", copy)])
    assert [(pair.first, pair.second) for pair in found] == [("5", "copy")]
    assert duplicates([], [("copy", copy)]) == ()
    assert 0 <= perceptual_hash(copy) < 2**64


def test_sharpness_falls_with_blur() -> None:
    """The variance of the Laplacian of a softened picture is lower; of a picture too small it is 0."""
    sharp = picture(np.random.default_rng(0))
    soft = np.asarray(Image.fromarray(sharp[0]).reduce(2).resize((64, 64)))[None]
    assert sharpness(soft) < sharpness(sharp) / 2
    assert sharpness(sharp[:, :2, :2]) == 0.0


def test_a_name_that_is_no_utf8_has_traits() -> None:
    """Names count by their bytes, whatever these are."""
    assert any(key.startswith("name.") for key in traits(b"\xff\xd8\xff", os.fsdecode(b"caf\xe9 [1].jpg"), 0.0))
