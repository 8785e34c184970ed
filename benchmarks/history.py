"""How often the traces of an earlier life are found in pictures that have one, and in pictures that have none.

    python -m benchmarks.history [--limit 128]

The embedded photographs of the test split, as they are stored; without a history (means of 2 x 2 of their pixels); and
with one that is made here: saved as JPEG once, twice, and rescaled. Writes benchmarks/results/history.json.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from benchmarks.comparison import interval, write
from detectors.evaluation.intervals import exact
from neurons.progress import bar
from neurons.provenance.clue import Clue, State
from neurons.provenance.jpeg_history import twice
from neurons.provenance.metadata import metadata
from neurons.provenance.rescaling import rescaled
from subnet.codec import image as codec
from subnet.codec.image_header import read_header
from subnet.media import embedded
from subnet.types import Frames, Media, Modality, Split

COLUMNS = ("trace", "pictures", "found, of those that can be told", "cannot tell")
ONCE = (50, 75, 85, 90, 95)
TWICE = ((60, 90), (75, 90), (70, 85), (85, 95), (90, 95), (90, 75), (95, 75))
BLOCKS = (("AVIF", 20), ("AVIF", 50), ("WebP", 5), ("WebP", 40))
FACTORS = (1.1, 1.2, 1.3, 1.5, 1.8)
ABOUT = (
    "The share of pictures of which `assay detect` says that they were saved as JPEG before, or rescaled. *Without a "
    "history*: means of 2 x 2 pixels of the embedded photographs of the test split, which keep no grid of blocks and "
    "no raster's period; the lines were drawn on those of the training split."
)
NOTES = (
    "Found in pictures without the trace is a false alarm. What the stored photographs went through before they were "
    "embedded is not known: some are cut from larger JPEG files and saved again, some were scaled.",
    "One picture of each photograph; intervals are exact (Clopper-Pearson).",
)
Look = Callable[[bytes, Frames], Clue]


def _jpeg(frame: Frames, *qualities: int) -> bytes:
    data = b""
    for quality in qualities:
        data = codec.encode_image(Media(frame[None]), quality)
        frame = codec.decode_image(data).frames[0]
    return data


def _png(frame: Frames) -> bytes:
    return codec.encode_png(Media(frame[None]))


def _fresh(frame: Frames) -> Frames:
    height, width = (side // 2 * 2 for side in frame.shape[:2])
    whole = frame[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    return np.rint(whole).astype(np.uint8)


def _scaled(frame: Frames, factor: float) -> Frames:
    height, width = frame.shape[:2]
    size = (round(width * factor), round(height * factor))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))


def _through(data: bytes, format: str, quality: int) -> Frames:
    """The pixels after saving in a format whose blocks are not JPEG's."""
    buffer = io.BytesIO()
    Image.fromarray(codec.decode_image(data).frames[0]).save(buffer, format, quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _twice(data: bytes, frame: Frames) -> Clue:
    return twice(read_header(data).body, metadata(data).tables)


def _rescaled(data: bytes, frame: Frames) -> Clue:
    return rescaled(frame)


def _rows() -> Iterator[tuple[str, str, Look, Callable[[bytes], bytes]]]:
    """Trace, how pictures are made, what looks at them, and what makes them of a stored file."""

    def of(change: Callable[[Frames], bytes]) -> Callable[[bytes], bytes]:
        return lambda data: change(_fresh(codec.decode_image(data).frames[0]))

    earlier, scaling = "saved as JPEG before", "rescaling"
    for quality in ONCE:
        yield earlier, f"without a history, saved at {quality}", _twice, of(lambda f, q=quality: _jpeg(f, q))
    yield earlier, "as they are stored", _twice, lambda data: data
    for first, second in TWICE:
        yield earlier, f"saved at {first}, then {second}", _twice, of(lambda f, a=first, b=second: _jpeg(f, a, b))
    yield scaling, "without a history", _rescaled, of(_png)
    yield scaling, "without a history, saved at 90", _rescaled, of(lambda f: _jpeg(f, 90))
    yield scaling, "as they are stored", _rescaled, lambda data: data
    for kind, quality in BLOCKS:
        name = f"as they are stored, saved as {kind} at {quality}"
        yield scaling, name, _rescaled, lambda data, k=kind, q=quality: _png(_through(data, k, q))
    for factor in FACTORS:
        yield scaling, f"scaled by {factor:g}", _rescaled, of(lambda f, s=factor: _png(_scaled(f, s)))
    yield scaling, "scaled by 1.5, saved at 90", _rescaled, of(lambda f: _jpeg(_scaled(f, 1.5), 90))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--limit", type=int, default=128, help="photographs at most")
    parser.add_argument("--split", type=Split, default=Split.TEST)
    args = parser.parse_args()
    by_source = {item.source: item for item in embedded.items(Modality.IMAGE, args.split)}
    items = list(by_source.values())[: args.limit]
    files = [data for item in items if (data := embedded.path(item).read_bytes())[:3] == b"\xff\xd8\xff"]
    rows, wanted = [], list(_rows())
    with bar("rows", len(wanted)) as progress:
        for number, (trace, made, look, make) in enumerate(wanted, 1):
            states = [look(data, codec.decode_image(data).frames[0]).state for data in map(make, files)]
            found, unread = states.count(State.FOUND), states.count(State.NOT_READ)
            told = interval(exact(found, len(states) - unread)) if unread < len(states) else ""
            rows.append([trace, made, told, f"{unread} of {len(states)}"])
            progress(number)
            print(*rows[-1])
    command = f"python -m benchmarks.history --limit {args.limit}"
    title = "Traces of an earlier life"
    write("history", title, [ABOUT], COLUMNS, rows, NOTES, command=command)


if __name__ == "__main__":
    main()
