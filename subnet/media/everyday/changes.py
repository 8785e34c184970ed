"""What is done to photographs before people meet them: each a function of the photograph and of chance, to a file.

A photograph is uint8 RGB (H, W, 3). What comes out are the bytes of a JPEG or WebP file, so that what a chain ends with
is stored as it was sent. All chance is in `rng`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import gaussian_filter, uniform_filter

from subnet.media.everyday.fonts import bold
from subnet.types import Frames

Floats = NDArray[np.float64]
Filter = Image.Resampling
Change = Callable[[Frames, np.random.Generator], bytes]
QUALITY = 95  # of what no chain of its own ends with, as that of the embedded photographs
FILTERS = (Filter.BILINEAR, Filter.BICUBIC, Filter.LANCZOS)
CAPTIONS = ("WHEN YOU SEE IT", "MONDAY AGAIN", "NOBODY:", "ONE DOES NOT SIMPLY", "WAIT FOR IT", "ME, AFTER LUNCH")


def encoded(picture: Image.Image | Frames, quality: int = QUALITY, kind: str = "JPEG") -> bytes:
    """The picture as a file; a JPEG of high quality keeps its colours at full resolution, as cameras' do."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    extra = {"subsampling": 0 if quality >= QUALITY else 2} if kind == "JPEG" else {"method": 2}
    image.save(buffer, kind, quality=quality, **extra)
    return buffer.getvalue()


def decoded(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=("JPEG", "WEBP")) as opened:
        return opened.convert("RGB")


def scaled(image: Image.Image, factor: float, resample: Filter = Filter.LANCZOS) -> Image.Image:
    """Both sides times `factor`."""
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), resample)


def untouched(photo: Frames, _rng: np.random.Generator) -> bytes:
    return encoded(photo)


def messenger(photo: Frames, rng: np.random.Generator) -> bytes:
    """Forwarded two to four times: made smaller, and written with a low quality, once by WebP in four."""
    image = Image.fromarray(photo)
    data = b""
    for _ in range(int(rng.integers(2, 5))):
        image = scaled(image, rng.uniform(0.75, 1.0), FILTERS[int(rng.integers(3))])
        data = encoded(image, int(rng.integers(30, 76)), "WEBP" if rng.random() < 0.25 else "JPEG")
        image = decoded(data)
    return data


def thumbnail(photo: Frames, rng: np.random.Generator) -> bytes:
    """A shorter side of 96 to 160 pixels, quality 60 to 85."""
    image = Image.fromarray(photo)
    return encoded(scaled(image, rng.uniform(96, 160) / min(image.size)), int(rng.integers(60, 86)))


def enlarged(photo: Frames, rng: np.random.Generator) -> bytes:
    """A part of a half to a third of each side, blown up to the size of the whole, sometimes sharpened."""
    height, width = photo.shape[:2]
    factor = rng.uniform(2.0, 3.0)
    high, wide = round(height / factor), round(width / factor)
    top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
    part = Image.fromarray(photo[top : top + high, left : left + wide])
    whole = part.resize((width, height), FILTERS[int(rng.integers(3))])
    return encoded(whole.filter(ImageFilter.UnsharpMask(2, 80, 2)) if rng.random() < 0.5 else whole, 90)


def sharpened(photo: Frames, rng: np.random.Generator) -> bytes:
    """An unsharp mask of 1 to 3 pixels and 120 to 300 %."""
    mask = ImageFilter.UnsharpMask(rng.uniform(1, 3), int(rng.integers(120, 301)), int(rng.integers(4)))
    return encoded(Image.fromarray(photo).filter(mask))


def smoothed(plane: Floats, guide: Floats, radius: int, epsilon: float) -> Floats:
    """`plane` smoothed but for the edges of `guide`, both (H, W) in 0..1: the guided filter (He et al. 2010)."""

    def mean(values: Floats) -> Floats:
        return np.asarray(uniform_filter(values, 2 * radius + 1, mode="nearest"))

    of_guide, of_plane = mean(guide), mean(plane)
    slope = (mean(guide * plane) - of_guide * of_plane) / (mean(guide * guide) - of_guide**2 + epsilon)
    return mean(slope) * guide + mean(of_plane - slope * of_guide)


def bytes_of(values: Floats) -> Frames:
    """0..1 as uint8."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def beautified(photo: Frames, rng: np.random.Generator) -> bytes:
    """Edge-preserving smoothing of the whole picture, then a little brighter and rosier."""
    values = photo / 255.0
    grey = values.mean(axis=2)
    radius, epsilon = int(rng.integers(3, 8)), rng.uniform(0.05, 0.12) ** 2
    even = np.stack([smoothed(values[..., band], grey, radius, epsilon) for band in range(3)], axis=2)
    mixed = values + rng.uniform(0.7, 1.0) * (even - values)
    return encoded(bytes_of(np.clip(mixed, 0, 1) ** 0.9 * [1.03, 1.0, 0.99]), 92)


def hdr(photo: Frames, rng: np.random.Generator) -> bytes:
    """Tone mapping by two layers (Durand & Dorsey 2002): the base is compressed, details and colours are raised."""
    values = np.maximum(photo / 255.0, 1 / 255)
    luminance = values.mean(axis=2)
    logs = np.log(luminance)
    base = smoothed(logs, logs, 12, 0.1)
    mapped = np.exp(rng.uniform(0.45, 0.65) * (base - base.max()) + rng.uniform(1.6, 2.6) * (logs - base))
    colours = (values / luminance[..., None]) ** rng.uniform(1.0, 1.4)
    return encoded(bytes_of(colours * (mapped / np.quantile(mapped, 0.99))[..., None]))


def film(photo: Frames, rng: np.random.Generator) -> bytes:
    """Scanned film: its curve and cast, the blur of lens and scanner, grain that is strongest in the middle tones,
    dust and a scratch."""
    height, width = photo.shape[:2]
    values = gaussian_filter(photo / 255.0, (0.7, 0.7, 0))
    values = (3 * values**2 - 2 * values**3) * 0.5 + values * 0.5
    values = values * rng.uniform(0.88, 1.06, 3) + rng.uniform(0, 0.05, 3)
    grain = gaussian_filter(rng.normal(size=(height, width, 3)), (rng.uniform(0.5, 0.9),) * 2 + (0.3,))
    strength = rng.uniform(0.04, 0.09) / grain.std()
    values += strength * grain * np.sqrt(np.clip(values * (1 - values), 0.02, 1)) * 2
    image = Image.fromarray(bytes_of(values))
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 12))):
        x, y, size = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.5, 1.6)
        pen.ellipse((x, y, x + size, y + size), fill=(235, 232, 225))
    x = rng.uniform(0, width)
    pen.line((x, 0, x + rng.uniform(-4, 4), height), fill=(215, 210, 200))
    return encoded(image, 92)


def rephotographed(photo: Frames, rng: np.random.Generator) -> bytes:
    """A photograph of a screen: its red, green and blue stripes, seen aslant, sampled by a camera (moire), with glare,
    a darker rim and noise."""
    height, width = photo.shape[:2]
    image = Image.fromarray(_stripes(photo)).transform(
        (round(width * 1.4), round(height * 1.4)), Image.Transform.QUAD, _corners(height, width, rng), Filter.BILINEAR
    )
    view = np.asarray(scaled(image, rng.uniform(0.72, 0.95), Filter.BICUBIC)) / 255.0
    y, x = np.mgrid[: view.shape[0], : view.shape[1]]
    down, across = (y / view.shape[0], x / view.shape[1])
    glare = np.exp(-(((across - rng.random()) / 0.3) ** 2 + ((down - rng.random()) / 0.2) ** 2))
    rim = 1 - 0.35 * ((across - 0.5) ** 2 + (down - 0.5) ** 2)
    light = view * (2.8 * rim)[..., None] + (rng.uniform(0.08, 0.3) * glare)[..., None]
    return encoded(bytes_of(light + rng.normal(0, 0.012, light.shape)), 88)


def _stripes(photo: Frames) -> Frames:
    """Four times as large: each pixel three stripes of one colour, and a dark gap beside and below them."""
    large = photo.repeat(4, axis=0).repeat(4, axis=1)
    mask = np.full((4, 4, 3), 0.12)
    for band in range(3):
        mask[:3, band, band] = 1.0
    tiled = np.tile(mask, (photo.shape[0], photo.shape[1], 1))
    striped: Frames = np.rint(large * tiled).astype(np.uint8)
    return striped


def _corners(height: int, width: int, rng: np.random.Generator) -> Sequence[float]:
    """Where the corners of the camera's picture lie on the screen, upper left first, against the clock."""
    inset = rng.uniform(0.0, 0.07, 8) * np.array([4 * width, 4 * height] * 4)
    right, low = 4 * width, 4 * height
    places = np.array([0, 0, 0, low, right, low, right, 0]) + inset * [1, 1, 1, -1, -1, -1, -1, 1]
    return [float(place) for place in places]


def meme(photo: Frames, rng: np.random.Generator) -> bytes:
    """Two lines of large white letters with a black rim, or a white field with a line above; forwarded once."""
    image = Image.fromarray(photo)
    size = round(min(image.size) * rng.uniform(0.09, 0.13))
    lines = [CAPTIONS[int(place)] for place in rng.choice(len(CAPTIONS), 2, replace=False)]
    font = bold(size)
    if rng.random() < 0.4:
        whole = Image.new("RGB", (image.width, image.height + 2 * size), "white")
        whole.paste(image, (0, 2 * size))
        ImageDraw.Draw(whole).text((size // 2, size // 2), lines[0].capitalize(), fill="black", font=font)
    else:
        whole = image.copy()
        pen = ImageDraw.Draw(whole)
        for line, place, anchor in ((lines[0], size // 4, "ma"), (lines[1], image.height - size // 4, "md")):
            pen.text(
                (image.width / 2, place),
                line,
                "white",
                font,
                anchor,
                stroke_width=max(1, size // 12),
                stroke_fill="black",
            )
    return encoded(whole, int(rng.integers(60, 86)))


CHANGES: dict[str, Change] = {  # by the kind of picture that comes out
    "photograph": untouched,
    "messenger": messenger,
    "thumbnail": thumbnail,
    "enlargement": enlarged,
    "sharpened": sharpened,
    "beauty filter": beautified,
    "HDR": hdr,
    "film grain": film,
    "photographed screen": rephotographed,
    "meme": meme,
}


def collage(photos: Sequence[Frames], rng: np.random.Generator) -> bytes:
    """Four photographs in a square with a gap between them."""
    side, gap = 240, int(rng.integers(2, 12))
    ground = "white" if rng.random() < 0.7 else "black"
    whole = Image.new("RGB", (2 * side + 3 * gap, 2 * side + 3 * gap), ground)
    for number, photo in enumerate(photos):
        place = (gap + number % 2 * (side + gap), gap + number // 2 * (side + gap))
        whole.paste(Image.fromarray(photo).resize((side, side), Filter.LANCZOS, box=_square(photo)), place)
    return encoded(whole, int(rng.integers(70, 93)))


RESAVINGS = tuple((side, quality) for side in (256, 208, 160, 128) for quality in (92, 50))


def resaved(photo: Frames, side: int, quality: int) -> bytes:
    """The middle square, `side` pixels wide, at a quality."""
    image = Image.fromarray(photo).resize((side, side), Filter.LANCZOS, box=_square(photo))
    return encoded(image, quality)


def _square(photo: Frames) -> tuple[int, int, int, int]:
    height, width = photo.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side
