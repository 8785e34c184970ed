"""Data set folders."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import av
import numpy as np
import pytest

from detectors.dataset.cuts import challenge_media, key_of, not_all_alike, sift
from detectors.dataset.items import both_classes, load_media, read_folder
from detectors.dataset.presets import PRESETS
from neurons.datasets.split import split
from subnet.codec import image as codec
from subnet.errors import DataError
from subnet.media.folder import FolderSource
from subnet.types import Label, Media, Modality
from tests.unit.detectors.folders import write_clips, write_images


def test_index_is_read_with_pairs(tmp_path: Path) -> None:
    """Each line of index.jsonl becomes one record, and twins share their pair."""
    records = read_folder(write_images(tmp_path / "set", 3))
    assert [record.label for record in records] == [Label.REAL, Label.SYNTHETIC] * 3
    assert records[0].pair == records[1].pair != ""
    assert load_media(records[0]).frames.shape == (1, 256, 256, 3)


def test_folder_without_index(tmp_path: Path) -> None:
    """Without an index the label is the first of real/ and fake/, and the origin the folder below it."""
    records = read_folder(write_clips(tmp_path / "set", 1))
    assert {(record.label, record.origin, record.modality) for record in records} == {
        (Label.REAL, "camera", Modality.VIDEO),
        (Label.SYNTHETIC, "still", Modality.VIDEO),
    }
    assert load_media(records[0]).frames.shape == (5, 256, 256, 3)


def test_files_directly_below_real_take_its_name(tmp_path: Path) -> None:
    """An item directly in real/ or fake/ has that folder as its origin; other files are left alone."""
    for name in ("real/a.png", "fake/b.png", "notes.txt", "c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [(record.origin, int(record.label)) for record in read_folder(tmp_path)] == [("fake", 1), ("real", 0)]


def test_a_published_layout_without_labels_is_named(tmp_path: Path) -> None:
    """Folders that name no label, but are those of a published data set: what to write instead is told."""
    for scene in ("airport", "bridge", "desert"):
        (tmp_path / scene).mkdir()
        (tmp_path / scene / f"{scene}_1.jpg").write_bytes(b"not opened")
    with pytest.raises(DataError, match=f"resembles the published data set aid: write aid:{tmp_path}"):
        read_folder(tmp_path)


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A missing folder, an empty one, one class only and an unreadable file are DataErrors that name them."""
    with pytest.raises(DataError, match="nowhere is not a folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no images or clips"):
        read_folder(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "broken.jpg").write_bytes(b"not a picture")
    records = read_folder(tmp_path)
    with pytest.raises(DataError, match="no synthetic items among 1"):
        both_classes(records, "this set")
    with pytest.raises(DataError, match=r"broken\.jpg cannot be read"):
        load_media(records[0])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 1"),
        ('{"label": 0, "modality": "image", "origin": "x"}', "the field 'file' is missing"),
        ('{"file": "a.png", "label": 7, "modality": "image", "origin": "x"}', "label must be 0"),
        ('{"file": "../a.png", "label": 1, "modality": "image", "origin": "x"}', "outside the data set"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, told: str) -> None:
    """A line of the index that cannot be understood, or points outside, is named with its number."""
    (tmp_path / "index.jsonl").write_text(line)
    with pytest.raises(DataError, match=told):
        read_folder(tmp_path)


PICTURE = codec.encode_png(Media(np.random.default_rng(0).integers(0, 256, (1, 80, 80, 3), dtype=np.uint8)))
LITTER = [
    "real/._0.png",
    "__MACOSX/real/._0.png",
    "real/.ipynb_checkpoints/0-checkpoint.png",
    "real/@eaDir/0.png/x.png",
]
LITTER += [
    "#recycle/real/1.png",
    "real/lost+found/1.png",
    "$RECYCLE.BIN/real/1.png",
    ".git/real/1.png",
    "real/.DS_Store",
]


def pairs(root: Path, count: int = 3) -> Path:
    for number in range(count):
        for side in ("real", "fake"):
            (root / side).mkdir(parents=True, exist_ok=True)
            (root / side / f"{number}.png").write_bytes(PICTURE)
    return root


@pytest.mark.parametrize("name", LITTER)
def test_litter_is_left_out_and_told(tmp_path: Path, name: str) -> None:
    """What desktops, NAS boxes and notebooks leave behind is no item, and is counted with an example."""
    path = pairs(tmp_path) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PICTURE)
    notes: list[str] = []
    assert len(read_folder(tmp_path, notes.append)) == 6
    assert [("left out 1" in note, "hidden, or left by" in note) for note in notes] == [(True, True)]


def test_everything_else_that_is_left_out_is_told_by_its_reason(tmp_path: Path) -> None:
    """Empty files, other suffixes, dead links, circles and folders without a label: a line each, with its count."""
    pairs(tmp_path)
    (tmp_path / "real" / "empty.png").write_bytes(b"")
    for number in range(2):
        (tmp_path / "fake" / f"{number}.avif").write_bytes(b"x")
    (tmp_path / "real" / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "real" / "round").symlink_to(tmp_path)
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "a.png").write_bytes(PICTURE)
    notes: list[str] = []
    assert len(read_folder(tmp_path, notes.append)) == 6
    for words in ("1 .*empty files", "2 .*suffix .avif", "1 .*leads nowhere", "1 .*read already", r"1 .*holiday \(1\)"):
        assert [note for note in notes if re.search(f"left out {words}", note)], (words, notes)
    assert len(notes) == 5


def test_links_are_followed(tmp_path: Path) -> None:
    """A folder of links, of files or of folders, relative or not, is read like what they lead to."""
    store = pairs(tmp_path / "store")
    (tmp_path / "files" / "real").mkdir(parents=True)
    (tmp_path / "files" / "fake").mkdir()
    for path in store.rglob("*.png"):
        (tmp_path / "files" / path.relative_to(store)).symlink_to(Path("../../store") / path.relative_to(store))
    (tmp_path / "folders").mkdir()
    for side in ("real", "fake"):
        (tmp_path / "folders" / side).symlink_to(f"../store/{side}")
    for name in ("files", "folders"):
        assert [load_media(record).frames.shape for record in read_folder(tmp_path / name)] == [(1, 80, 80, 3)] * 6
    rows = [
        {"file": f"{s}/0.png", "label": n, "modality": "image", "origin": s} for n, s in enumerate(("real", "fake"))
    ]
    (tmp_path / "files" / "index.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [load_media(record).frames.shape for record in read_folder(tmp_path / "files")] == [(1, 80, 80, 3)] * 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_index_as_editors_save_it(tmp_path: Path, encoding: str, end: str) -> None:
    """Byte-order marks, line ends of other systems and separators inside a line change nothing."""
    rows = [
        {"file": f"{s}\\0.png", "label": n, "modality": "image", "origin": f"{s}\u2028x"}
        for n, s in enumerate(("real", "fake"))
    ]
    text = end.join(json.dumps(row, ensure_ascii=False) for row in rows) + end
    (pairs(tmp_path) / "index.jsonl").write_bytes(text.encode(encoding))
    assert [load_media(record).frames.shape for record in read_folder(tmp_path)] == [(1, 80, 80, 3)] * 2


def test_names_that_are_no_utf8_or_have_brackets(tmp_path: Path) -> None:
    """They are read, told and hashed like any other."""
    data = pairs(tmp_path / "data")
    for name in (b"caf\xe9.png", b"a [red] *.png"):
        (data / "real" / os.fsdecode(name)).write_bytes(PICTURE)
    (data / "real" / os.fsdecode(b"\xff.png")).write_bytes(PICTURE[:50])
    notes: list[str] = []
    records = sift(read_folder(data), "this set", notes.append)
    keys = {key_of(record, data) for record in records}
    assert len(records) == len(keys) == 8
    assert len({challenge_media(record, key_of(record, data), 1).frames.tobytes() for record in records}) >= 1
    assert any("left out 1 of 9" in note for note in notes)
    split(data, tmp_path / "out", seed=3, share=0.5)


def test_small_pictures_are_told_and_tiny_ones_refused(tmp_path: Path) -> None:
    """Enlarging is told with its factor; below 64 pixels an item is of no use, and a set of such is refused."""
    notes: list[str] = []
    sift(read_folder(pairs(tmp_path / "small")), "small", notes.append)
    assert notes == ["6 of 6 in small are enlarged to 256 pixels a side, up to 3.2 times"]
    tiny = codec.encode_png(Media(np.zeros((1, 32, 32, 3), np.uint8)))
    for path in pairs(tmp_path / "tiny").rglob("*.png"):
        path.write_bytes(tiny)
    with pytest.raises(
        DataError, match=r"3 of the 3 real items of tiny are of no use: 32x32 pixels would be enlarged 8"
    ):
        sift(read_folder(tmp_path / "tiny"), "tiny", notes.append)


@pytest.mark.parametrize("side", [each.side for each in PRESETS.values() if each.side])
def test_tiny_pictures_name_the_published_set_that_has_such(tmp_path: Path, side: int) -> None:
    """Of a side that a published set has, and no other, the way to read them is named."""
    (name,) = [each.name for each in PRESETS.values() if each.side == side]
    for pixels, resembles in ((side, True), (side + 1, False)):
        noise = np.random.default_rng(0).integers(0, 256, (1, pixels, pixels, 3), dtype=np.uint8)
        for path in pairs(tmp_path / str(pixels)).rglob("*.png"):
            path.write_bytes(codec.encode_png(Media(noise)))
        with pytest.raises(DataError, match="would be enlarged") as caught:
            sift(read_folder(tmp_path / str(pixels)), "tiny")
        assert (f"write {name}:DIR" in str(caught.value)) is resembles


@pytest.mark.parametrize("modality", list(Modality))
def test_what_is_one_colour_all_over_is_of_no_use(tmp_path: Path, modality: Modality) -> None:
    """A few flat pictures or clips are left out and told; a set of them is refused, whatever their colours."""
    rng, suffix = np.random.default_rng(0), {Modality.IMAGE: "png", Modality.VIDEO: "mp4"}[modality]

    def put(kind: str, number: int, flat: bool) -> None:
        frames = rng.integers(0, 256, (5 if modality is Modality.VIDEO else 1, 80, 80, 3), dtype=np.uint8)
        frames[:] = frames[0, 0, 0] if flat else frames
        media = Media(frames, 10.0 if modality is Modality.VIDEO else None)
        data = codec.encode_lossless_video(media) if modality is Modality.VIDEO else codec.encode_png(media)
        (tmp_path / kind).mkdir(exist_ok=True)
        (tmp_path / kind / f"{number}.{suffix}").write_bytes(data)

    for kind in ("real", "fake"):
        for number in range(4):
            put(kind, number, flat=number == 0)
    notes: list[str] = []
    assert len(sift(read_folder(tmp_path), "x", notes.append)) == 6
    assert any("left out 2 of 8 in x: one colour all over" in note for note in notes)
    for number in range(4):
        put("real", number, flat=True)
    with pytest.raises(DataError, match="4 of the 4 real items of x are of no use: one colour all over"):
        sift(read_folder(tmp_path), "x")


def test_one_picture_many_times_teaches_nothing(tmp_path: Path) -> None:
    """The same pixels in every item of both classes are refused with the fix; two pictures are not."""
    root = pairs(tmp_path, 4)
    with pytest.raises(DataError, match=r"all 8 items of x hold the same pixels.*give real and synthetic items that"):
        not_all_alike(read_folder(root), "x")
    noise = np.random.default_rng(9).integers(0, 256, (1, 80, 80, 3), dtype=np.uint8)
    (root / "real" / "3.png").write_bytes(codec.encode_png(Media(noise)))
    not_all_alike(read_folder(root), "x")


def test_damaged_items_end_nothing_until_they_are_most(tmp_path: Path) -> None:
    """Up to half of a label may be damaged: those are left out and told; over that the set is refused."""
    root = pairs(tmp_path, 4)
    for number in range(2):
        (root / "real" / f"{number}.png").write_bytes(PICTURE[:60])
    notes: list[str] = []
    assert len(sift(read_folder(root), "x", notes.append)) == 6
    assert any("left out 2 of 8 in x: " in note for note in notes)
    (root / "real" / "2.png").write_bytes(b"x")
    with pytest.raises(DataError, match="3 of the 4 real items of x are of no use"):
        sift(read_folder(root), "x")


def test_a_large_photograph_is_held_small(tmp_path: Path) -> None:
    """Twelve megapixels are 36 MB decoded; what is kept of them is what a pool would hold."""
    big = np.random.default_rng(0).integers(0, 256, (1, 1200, 1600, 3), dtype=np.uint8)
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "big.jpg").write_bytes(codec.encode_image(Media(big), 50))
    (record,) = read_folder(tmp_path)
    held = challenge_media(record, "big", 1).frames
    assert held.nbytes == 256 * 256 * 3
    assert held.base is None or held.base.nbytes == held.nbytes


@pytest.mark.parametrize(
    ("suffix", "name", "kind"),
    [("webm", "libvpx-vp9", "webm"), ("mkv", "libx264", "matroska"), ("avi", "mpeg4", "avi")],
)
def test_every_container_that_is_listed_is_decoded(tmp_path: Path, suffix: str, name: str, kind: str) -> None:
    """A clip is read from all of them, in data sets and as a source of challenges."""
    out = io.BytesIO()
    with av.open(out, "w", format=kind) as container:
        stream = container.add_stream(name, rate=25)
        stream.width = stream.height = 128
        stream.pix_fmt = "yuv420p"
        for shade in range(20):
            frame = np.full((128, 128, 3), 10 * shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    path = tmp_path / "real" / f"a.{suffix}"
    path.parent.mkdir()
    path.write_bytes(out.getvalue())
    (record,) = read_folder(tmp_path)
    assert load_media(record).frames.shape[1:] == (128, 128, 3)
    drawn = FolderSource(tmp_path, Label.REAL).draw(Modality.VIDEO, Label.REAL, np.random.default_rng(0))
    assert drawn.media.frames.shape == (16, 256, 256, 3)
