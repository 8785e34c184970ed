"""What a row of the detector table says. Data only: importing this imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from subnet.types import Modality

Resize = Literal["keep", "squash", "centre", "short-edge", "tiles"]
Resample = Literal["torch-bilinear", "pillow-bilinear", "pillow-bicubic", "pillow-lanczos", "opencv-cubic"]
Clips = Literal["cover", "spread", "first", "middle"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
ZERO = (0.0, 0.0, 0.0)
ONE = (1.0, 1.0, 1.0)
LARGEST = 4096  # side of a network's input in pixels


@dataclass(frozen=True)
class Preprocess:
    """How uint8 frames become a network's input: resize by `rule` to `size`, divide by 255, then (x - mean) / std.

    Rules: "keep" leaves the size alone; "squash" resizes both sides to `size`, aspect not kept; "centre" cuts the
    centre square first; "short-edge" resizes the shorter side to `size` and cuts the centre square then; "tiles" does
    as "centre" to 256 and leaves it to the network to cut squares of `size` out of that without resizing, so that
    traces of up-sampling survive.

    `crop` is the side of the centre square that is cut out of what the rule gives, where torchvision's `CenterCrop`
    cuts; a picture that is smaller gets black around it. 0 cuts nothing.

    `resample` is the filter (`detectors.resampling`): torch's works on floats, the others give uint8 again, as the
    libraries do that they are called after; with these, centre crops begin where torchvision's do.

    Networks that judge clips of some frames take them by `clips` (`detectors.pixels.clips.clip_frames`). `frame_side`
    is the side in pixels that each frame of a clip is brought to after all this, bilinearly and without
    anti-aliasing; 0 leaves frames as they are.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    size: int = 256
    rule: Resize = "centre"
    resample: Resample = "torch-bilinear"
    clips: Clips = "cover"
    frame_side: int = 0
    crop: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.size <= LARGEST:
            raise ValueError(f"size must be at least 2 pixels and at most {LARGEST}, not {self.size}")
        for name, side in (("frame_side", self.frame_side), ("crop", self.crop)):
            if not 0 <= side <= LARGEST:
                raise ValueError(f"{name} must be in 0..{LARGEST} pixels, not {side}")
        if self.crop and self.rule == "tiles":
            raise ValueError('crop: the rule "tiles" cuts its own squares')
        if not all(0 < value < math.inf for value in self.std):
            raise ValueError(f"std must be positive, not {self.std}")
        if not all(math.isfinite(value) for value in self.mean):
            raise ValueError(f"mean must be finite, not {self.mean}")
        for name, choices in (("rule", Resize), ("resample", Resample), ("clips", Clips)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(f"{name} must be one of {', '.join(get_args(choices))}, not {getattr(self, name)!r}")


@dataclass(frozen=True)
class Origin:
    """A published file, at one commit of a repository of the Hugging Face hub or of GitHub.

    `size` is in bytes, computed from the tensors where nobody has stated it; `sha256` is "" where it is kept from the
    first fetch on.
    """

    repository: str  # OWNER/NAME
    revision: str  # 40 hex digits
    file: str  # its path in the repository
    size: int
    sha256: str = ""
    host: Literal["hub", "github"] = "hub"

    @property
    def address(self) -> str:
        """What it is called in messages and in the record of what was fetched."""
        host = "huggingface.co" if self.host == "hub" else "github.com"
        return f"{host}/{self.repository}/{self.file}@{self.revision}"

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.file.rpartition("/")[2]


@dataclass(frozen=True)
class DetectorRow:
    """One detector: what it is, how large the published network is, and which weights ship with it.

    `parameters` and `tensors` count the published network; `embedded_parameters` what was learnt of
    the one that ships here: parameters, what fitted heads, gates and indices hold, and those of members and experts.
    `weights` is a file of detectors/weights ("" where there are none) and `sha256` pins it. `layer` names the module
    whose activations heat maps use, and `grid` says what these are: "maps" (B, C, H, W), "tokens" (B, H*W, C),
    "volumes" (B, C, T, H, W), or "places": log-odds (B, 1, H, W) of every place of the picture by itself, which are
    shown as they are.
    `self_test` is the log-odds that the weights which ship give to the example of `detectors.evaluation.self_test`.

    `files` is what `assay fetch` brings where weights are published but do not ship, and `published` the number that
    its authors or others report of these, with the source.
    """

    name: str
    modality: Modality
    target: str
    summary: str
    parameters: int = 0
    tensors: int = 0
    embedded_parameters: int = 0
    weights: str = ""
    sha256: str = ""
    self_test: float | None = None
    licence: str = "MIT"
    preprocess: Preprocess = Preprocess()
    layer: str = ""
    grid: Literal["", "maps", "tokens", "volumes", "places"] = ""
    family: str = ""  # the row of detectors.families that its weights belong to
    trainable: bool = False
    requires: str = ""  # what is to be given with its name, where nothing ships
    files: tuple[Origin, ...] = ()
    published: str = ""

    @property
    def input_size(self) -> int:
        """Side in pixels of what the network is shown."""
        return self.preprocess.crop or self.preprocess.size
