"""Colours of flat clips against values computed here, for each matrix, range and transfer."""

from __future__ import annotations

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from subnet.codec.video import decode_video
from tests.unit.subnet.codec.clips import encoded

MATRICES = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}  # Kr, Kb
TAGS = {"bt601": 6, "bt709": 1, "bt2020": 9, "untagged": 2}  # AVColorSpace
LIMITED, FULL, UNSAID = 1, 2, 0
PQ, HLG = 16, 18
COLOURS = ((235, 128, 128), (16, 128, 128), (126, 128, 128), (81, 90, 200), (145, 54, 70), (60, 180, 110))  # Y, Cb, Cr


def flat(
    codes: tuple[int, int, int], *, space: str = "untagged", range_: int = UNSAID, height: int = 64, trc: int = 2,
    bits: int = 8, codec: str = "libx264",
) -> bytes:  # fmt: skip
    """Two lossless frames of one Y, Cb, Cr, tagged as said."""
    pixels, kind = ("yuv420p", np.uint8) if bits == 8 else ("yuv420p10le", np.uint16)
    luma = np.full((height, 64), codes[0], kind)
    chroma = [np.full(((height + 1) // 2, 32), code, kind) for code in codes[1:]]
    planes = np.concatenate([luma, *(plane.reshape(-1, 64) for plane in chroma)])
    frames = [av.VideoFrame.from_ndarray(planes, format=pixels) for _ in range(2)]

    def tag(context: av.VideoCodecContext) -> None:
        context.colorspace, context.color_range, context.color_trc = TAGS[space], range_, trc

    options = {"qp": "0"} if codec == "libx264" else {"x265-params": "lossless=1:log-level=none:bframes=0"}
    return encoded(frames, codec=codec, pixels=pixels, ticks=(0, 40), options=options, tag=tag)


def rgb(codes: tuple[int, int, int], matrix: str, *, full: bool = False, bits: int = 8) -> NDArray[np.float64]:
    """R, G, B in 0..1 by ITU-R BT.601, BT.709 and BT.2020."""
    kr, kb = MATRICES[matrix]
    unit, top = 2.0 ** (bits - 8), 2.0**bits - 1
    y = codes[0] / top if full else (codes[0] - 16 * unit) / (219 * unit)
    cb, cr = ((code - 128 * unit) / (top if full else 224 * unit) for code in codes[1:])
    r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    return np.clip([r, (y - kr * r - kb * b) / (1 - kr - kb), b], 0, 1)


def colour(data: bytes) -> NDArray[np.int64]:
    """The one colour that a flat clip has."""
    frames = decode_video(data).frames
    assert np.ptp(frames.reshape(-1, 3), axis=0).max() <= 1
    return frames[0, 16, 16].astype(np.int64)


@pytest.mark.parametrize("codes", COLOURS)
@pytest.mark.parametrize("space", MATRICES)
@pytest.mark.parametrize("range_", [LIMITED, FULL, UNSAID])
def test_named_matrices_and_ranges(codes: tuple[int, int, int], space: str, range_: int) -> None:
    """BT.601, BT.709 and BT.2020, limited and full: within two levels; a range that is not named is limited."""
    expected = 255 * rgb(codes, space, full=range_ == FULL)
    assert np.abs(colour(flat(codes, space=space, range_=range_)) - expected).max() <= 2


@pytest.mark.parametrize(("height", "matrix"), [(716, "bt601"), (720, "bt709"), (1080, "bt709")])
def test_untagged_clips_go_by_their_height(height: int, matrix: str) -> None:
    """Where no matrix is named: BT.601 below 720 lines, BT.709 from there on."""
    for codes in COLOURS[3:]:
        assert np.abs(colour(flat(codes, height=height)) - 255 * rgb(codes, matrix)).max() <= 2


def test_a_name_wins_over_the_height() -> None:
    """BT.601 stays BT.601 at 1080 lines."""
    codes = COLOURS[4]
    assert np.abs(colour(flat(codes, space="bt601", height=1080)) - 255 * rgb(codes, "bt601")).max() <= 2


def standard(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2020 light in units of 203 cd/m2 to the 8-bit codes that `subnet.codec.colour` promises."""
    primaries = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    shown = np.maximum(np.array(primaries) @ light, 0)
    most = max(float(shown.max()), 1e-9)
    over = max(most - 0.7, 0) / 0.3
    return 255 * (shown * (min(most, 0.7) + 0.3 * over / (1 + over)) / most) ** (1 / 2.4)


def pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084, in units of 203 cd/m2."""
    root = signal ** (1 / 78.84375)
    return 10_000 / 203 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)


def hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2100 on a display of 1000 cd/m2, in units of 203 cd/m2."""
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return 1000 / 203 * scene * float(np.dot([0.2627, 0.6780, 0.0593], scene)) ** 0.2


HIGH = ((940, 512, 512), (594, 512, 512), (64, 512, 512), (300, 512, 512), (500, 420, 620), (450, 600, 450))


@pytest.mark.parametrize("codes", HIGH)
@pytest.mark.parametrize(("trc", "curve"), [(PQ, pq), (HLG, hlg)], ids=["pq", "hlg"])
@pytest.mark.parametrize("space", ["bt2020", "untagged"])
def test_high_dynamic_range_becomes_standard(codes: tuple[int, int, int], trc: int, curve: object, space: str) -> None:
    """PQ and HLG in 10 bits: within two levels of the stated mapping, also where only the transfer is named."""
    assert callable(curve)
    data = flat(codes, space=space, range_=LIMITED, trc=trc, bits=10, codec="libx265")
    expected = standard(curve(rgb(codes, "bt2020", bits=10)))
    assert np.abs(colour(data) - expected).max() <= 2


def test_high_dynamic_range_keeps_the_order_of_greys() -> None:
    """A brighter code is never darker, the reference white is bright, and nothing is out of range."""
    greys = [int(colour(flat((code, 512, 512), space="bt2020", trc=PQ, bits=10, codec="libx265"))[1]) for code in
             (64, 200, 350, 500, 573, 700, 940)]  # fmt: skip
    assert greys == sorted(greys)
    assert greys[0] == 0
    assert 225 <= greys[4] <= 245  # code 573 is 203 cd/m2


def test_ten_bits_of_standard_range_keep_their_upper_bits() -> None:
    """10-bit BT.709 is the colour that 8 bits would have been."""
    for codes in COLOURS:
        tens = (codes[0] * 4, codes[1] * 4, codes[2] * 4)
        data = flat(tens, space="bt709", range_=LIMITED, bits=10, codec="libx265")
        assert np.abs(colour(data) - 255 * rgb(codes, "bt709")).max() <= 2
