"""Which versions of which libraries encode variants: the same ones make the same bytes again."""

from __future__ import annotations

import platform

import av
import numpy as np
import PIL
import simplejpeg
from PIL import features


def codec_versions() -> dict[str, str]:
    """By name, with the processor's kind, since encoders have code of their own for each."""
    return {
        "av": av.__version__,
        "libjpeg": features.version("libjpeg_turbo") or features.version("jpg") or "?",
        "machine": platform.machine(),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "simplejpeg": simplejpeg.__version__,
    }
