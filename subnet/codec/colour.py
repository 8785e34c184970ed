"""Decoded frames as RGB: which matrix where none is named, and high dynamic range brought to standard.

- Untagged frames are BT.601, from 720 lines on BT.709; limited range unless they say full. Named matrices are obeyed.
- PQ and HLG (BT.2100) become standard range: light is taken relative to the reference white of 203 cd/m2 (BT.2408) and
  from BT.2020 to BT.709 primaries (what falls outside is cut off); of the strongest of R, G, B everything above KNEE is
  rolled off towards 1, the other two in proportion; then the power 1/2.4 of a reference display (BT.1886).
- Other wide primaries are left as they are, as colour profiles of pictures are.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace, ColorTrc, Interpolation, VideoReformatter
from numpy.typing import NDArray

from subnet.types import Frames

# The same colours on every CPU, and none darker: FFmpeg's faster conversion loses about one level of 255 each way.
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
HD_LINES = 720
WHITE = 203.0  # cd/m2
KNEE = 0.7  # of the reference white
_PEAK = 1000.0  # cd/m2 of the display that HLG is meant for; its system gamma is 1.2
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]], np.float32
)
_LUMA_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
_BAND = 128  # rows that are brought to standard range at a time: a bound on memory

Linear = NDArray[np.float32]


def to_rgb(converter: VideoReformatter, frame: av.VideoFrame, width: int, height: int) -> Frames:
    """A frame as (height, width, 3) in sRGB-like BT.709."""
    high_range = frame.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)
    source = None
    if frame.colorspace == _UNSPECIFIED and (high_range or frame.height >= HD_LINES):
        source = Colorspace.BT2020 if high_range else Colorspace.ITU709
    rgb: NDArray[Any] = converter.reformat(
        frame,
        width,
        height,
        "rgb48le" if high_range else "rgb24",
        src_colorspace=source,
        interpolation=EXACT,
        threads=1,
    ).to_ndarray()
    return _standard_range(rgb, ColorTrc(frame.color_trc)) if high_range else rgb


def _standard_range(codes: NDArray[np.uint16], transfer: ColorTrc) -> Frames:
    result = np.empty(codes.shape, np.uint8)
    for top in range(0, len(codes), _BAND):
        light = _light(codes[top : top + _BAND], transfer) @ _TO_BT709.T
        result[top : top + _BAND] = _display(np.maximum(light, 0))
    return result


def _light(codes: NDArray[np.uint16], transfer: ColorTrc) -> Linear:
    """16-bit codes (..., 3) to BT.2020 light in units of the reference white."""
    light: Linear = _curve(transfer)[codes]
    if transfer is ColorTrc.ARIB_STD_B67:  # the light of the scene: the display's gamma works on its luminance
        luminance = np.maximum(light @ _LUMA_2020, 1e-6)[..., None]
        light = light * luminance ** np.float32(0.2) * np.float32(_PEAK / WHITE)
    return light


@cache
def _curve(transfer: ColorTrc) -> Linear:
    """Light for each 16-bit code: of the display for PQ (SMPTE ST 2084), of the scene in 0..1 for HLG (BT.2100)."""
    code = np.linspace(0, 1, 65536)
    if transfer is ColorTrc.ARIB_STD_B67:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(np.float32)
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = code ** (1 / m2)
    light = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return (light * 10_000 / WHITE).astype(np.float32)


def _display(light: Linear) -> Frames:
    """BT.709 light of any strength to 8-bit codes."""
    strongest = light.max(axis=-1, keepdims=True)
    over = np.maximum(strongest - KNEE, 0) / (1 - KNEE)
    rolled = np.minimum(strongest, KNEE) + (1 - KNEE) * over / (1 + over)
    shown = light * (rolled / np.maximum(strongest, 1e-9))
    codes: Frames = np.rint(255 * shown ** np.float32(1 / 2.4)).astype(np.uint8)
    return codes
