"""Documents, scans of them, and charts, drawn here: no file of others is in them. All chance is in `rng`."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from subnet.media.everyday.changes import Filter, bytes_of, encoded
from subnet.media.everyday.fonts import FACES, bold, face

TEXT = """
account agreement amount annual answer area average balance board building by capital change city clause
committee company contract cost council date decision department distance district due each engine estimate
evening for from garden general house in increase interest item kitchen letter level line list measure meeting
member minute month new notice number of office on order paper part payment people period plan price product
project rate receipt report result river room rule sample school section service share sheet side south
station street sum supply table the three to total train under unit value water week which window with work
year
"""
WORDS = TEXT.split()
WIDTH, HEIGHT = 420, 560  # pixels of a page


def document(rng: np.random.Generator) -> Image.Image:
    """A page of text with a heading, sometimes with a table or in two columns, cut as a screen would show it."""
    page = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen, margin = ImageDraw.Draw(page), int(rng.integers(18, 40))
    size, name = int(rng.integers(9, 15)), FACES[int(rng.integers(len(FACES)))]
    heading = " ".join(rng.choice(WORDS, int(rng.integers(2, 5)))).title()
    pen.text((margin, margin), heading, "black", bold(round(size * 1.6)))
    top: float = margin + 3 * size
    if rng.random() < 0.4:
        top = _table(pen, margin, top, size, name, rng)
    columns = 2 if rng.random() < 0.3 else 1
    wide = (WIDTH - margin * (columns + 1)) / columns
    for column in range(columns):
        _text(pen, margin + column * (wide + margin), top, wide, size, name, rng)
    return page


def _text(
    pen: ImageDraw.ImageDraw, left: float, top: float, wide: float, size: int, name: str, rng: np.random.Generator
) -> None:
    font, y = face(name, size), top
    while y < HEIGHT - 3 * size:
        for _ in range(int(rng.integers(2, 8))):
            line = ""
            while font.getlength(longer := f"{line} {WORDS[int(rng.integers(len(WORDS)))]}".strip()) < wide:
                line = longer
            pen.text((left, y), line, "black", font)
            y += round(size * 1.4)
        y += size


def _table(pen: ImageDraw.ImageDraw, margin: int, top: float, size: int, name: str, rng: np.random.Generator) -> float:
    """Draw a table of numbers; returns where it ends."""
    font, rows, columns = face(name, size), int(rng.integers(4, 9)), int(rng.integers(3, 5))
    step, wide = round(size * 1.9), (WIDTH - 2 * margin) / columns
    for row in range(rows + 1):
        pen.line((margin, top + row * step, WIDTH - margin, top + row * step), "grey")
        for column in range(columns if row < rows else 0):
            word = f"{rng.uniform(0, 9999):,.2f}" if column else str(rng.choice(WORDS))
            pen.text((margin + column * wide + 4, top + row * step + 3), word, "black", font)
    return top + (rows + 1) * step


def scan(rng: np.random.Generator) -> Image.Image:
    """A document as a scanner or a telephone brings it: aslant, soft, on uneven paper, in colour or grey."""
    page = document(rng).rotate(rng.uniform(-3, 3), Filter.BICUBIC, fillcolor="white")
    values = gaussian_filter(np.asarray(page) / 255.0, (rng.uniform(0.4, 0.9),) * 2 + (0,))
    paper = gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), 60)
    shade = rng.uniform(0.86, 0.97) + 0.08 * paper / max(1e-9, float(np.abs(paper).max()))
    tint = np.array([1.0, rng.uniform(0.96, 1.0), rng.uniform(0.86, 1.0)])
    lit = (0.12 + 0.88 * values) * shade[..., None] * tint + rng.normal(0, rng.uniform(0.01, 0.03), (HEIGHT, WIDTH, 1))
    image = Image.fromarray(bytes_of(lit))
    return image.convert("L").convert("RGB") if rng.random() < 0.4 else image


def chart(rng: np.random.Generator) -> Image.Image:
    """Lines, bars, points, a histogram or a map of values, as matplotlib draws them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    kind, x = int(rng.integers(5)), np.arange(24)
    if kind == 0:
        axes.plot(x, np.cumsum(rng.normal(size=(24, 3)), axis=0))
        axes.grid()
    elif kind == 1:
        axes.bar(
            [str(word) for word in rng.choice(WORDS, 7, replace=False)],
            rng.uniform(1, 9, 7),
            color=f"C{rng.integers(8)}",
        )
        axes.tick_params("x", rotation=40)
    elif kind == 2:
        across, up = rng.normal(size=(2, 200))
        axes.scatter(across, up, c=rng.random(200), s=18, cmap="viridis")
    elif kind == 3:
        axes.hist(rng.gamma(2, 2, 400), 25, color=f"C{rng.integers(8)}")
    else:
        figure.colorbar(axes.imshow(gaussian_filter(rng.normal(size=(40, 60)), 3), cmap="magma"))
    axes.set_title(" ".join(rng.choice(WORDS, 3)))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    with Image.open(buffer, formats=("PNG",)) as opened:
        return opened.convert("RGB")


PAGES: dict[str, Callable[[np.random.Generator], Image.Image]] = {"document": document, "scan": scan, "chart": chart}


def page(kind: str, rng: np.random.Generator) -> bytes:
    """A page of one of PAGES as a file."""
    return encoded(PAGES[kind](rng), int(rng.integers(80, 96)))
