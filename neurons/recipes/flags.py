"""The flags of `assay train`: what to learn from, how long and how, and which recipes of the field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from subnet.errors import SettingsError

MOST_RANK = 256
WORKERS = 64  # most processes that prepare batches
Flag = Annotated[bool, Parameter(negative="")]
_NUMBER = re.compile(r"[a-z_]+=\d+(\.\d+)?")


def positive(**flags: int | None) -> None:
    for name, value in flags.items():
        if value is not None and value < 1:
            raise SettingsError(f"--{name} must be at least 1, not {value}")


@Parameter(name="*")
@dataclass(frozen=True)
class Data:
    """What to learn from, and what to judge by."""

    data: str = "embedded:train"
    """embedded:train, a folder (with index.jsonl, with real/ and fake/, of shards, or with train/ and validation/ of
    these), PRESET:DIR, a published data set (`assay dataset presets`), or hub:OWNER/NAME."""
    validation: str | None = None
    """embedded:validation, or a folder; by default the data's own validation/, or else a part held out."""
    items: int | None = None
    """Real items of the embedded set; by default 300 images or 40 clips."""
    twins: int = 2
    """Synthetic items for each real one of the embedded set."""
    exclude: tuple[str, ...] = ()
    """Generators whose items are left out, for measuring on generators never trained on."""
    memory: float = 1.0
    """GiB of decoded items to hold at once; what does not fit is read in windows."""
    features: Path | None = None
    """Folder that keeps the features below a fitted head, so that another head is trained on them in seconds; of a
    tower by default features/ of --out."""
    force: Flag = False
    """Train on data whose files give the label away."""

    def __post_init__(self) -> None:
        positive(items=self.items, twins=self.twins)
        if not 0 < self.memory < 10_000:
            raise SettingsError(f"--memory must be above 0 GiB, not {self.memory:g}")


@Parameter(name="*")
@dataclass(frozen=True)
class Course:
    """How long to train, and how."""

    steps: int | None = None
    """Steps to train; by default the recipe's."""
    learning_rate: float | None = None
    """Highest learning rate; by default the recipe's. A fifth of it suits weights that are trained already."""
    patience: int = 8
    """Evaluations without a better AUC before training stops."""
    init: Path | None = None
    """Weights to start from."""
    expert: tuple[str, ...] = ()
    """NAME=FILE: weights of an expert of camo that is trained already, or a member of ensemble."""
    size: Literal["small", "published"] = "small"
    """Of the network: small suits a CPU; published is what ImageNet weights and public checkpoints fit."""
    crop: int | None = None
    """Side of the crops that are trained on, in pixels: a multiple of 16, 16 to 256; by default the recipe's."""
    pairs: int | None = None
    """Pairs of a real and a synthetic item in each step, over all processes together; by default the recipe's."""
    network: tuple[str, ...] = ()
    """NAME=NUMBER: an argument of the network in place of its size's own, such as patch=32 for patchwise."""
    precision: Literal["no", "bf16"] | None = None
    """no or bf16; by default bf16 on a GPU."""
    workers: int = 0
    """Processes that prepare batches."""

    def __post_init__(self) -> None:
        positive(steps=self.steps, patience=self.patience, pairs=self.pairs)
        if not 0 <= self.workers <= WORKERS:
            raise SettingsError(f"--workers must be from 0 to {WORKERS}, not {self.workers}")
        if self.crop is not None and self.crop not in range(16, 257, 16):
            raise SettingsError(f"--crop must be a multiple of 16 from 16 to 256, not {self.crop}")
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise SettingsError(f"--learning_rate must be above 0 and below 1, not {self.learning_rate:g}")
        if wrong := [text for text in self.expert if not all(text.partition("="))]:
            raise SettingsError(f"--expert {wrong[0]}: write NAME=FILE")

        if wrong := [text for text in self.network if not _NUMBER.fullmatch(text)]:
            raise SettingsError(f"--network {wrong[0]}: write NAME=NUMBER")

    @property
    def arguments(self) -> dict[str, int | float] | None:
        """Names and numbers of `network`."""
        pairs = [text.partition("=") for text in self.network]
        return {name: float(text) if "." in text else int(text) for name, _, text in pairs} or None

    @property
    def experts(self) -> tuple[tuple[str, Path], ...]:
        """Names and weights of `expert`."""
        return tuple((text.partition("=")[0], Path(text.partition("=")[2])) for text in self.expert)


@Parameter(name="*")
@dataclass(frozen=True)
class Choice:
    """What the field found to work, beside the detector's own recipe."""

    recipe: tuple[str, ...] = ()
    """Names of `assay recipes`: what the field found to work, on top of the detector's own recipe."""
    autoencoder: tuple[str, ...] = ()
    """Generators that make the twins of vae-twins; by default those whose weights are here (`assay generators`)."""
    tower: str | None = None
    """Of probe and adapters: a folder of timm or transformers, or OWNER/NAME@<40 hex commit>; of probe also an ONNX
    file with its preprocessor_config.json beside it."""
    rank: int | None = None
    """Of adapters: how many directions each layer gets; by default 8."""

    def __post_init__(self) -> None:
        positive(rank=self.rank)
        if self.rank is not None and self.rank > MOST_RANK:
            raise SettingsError(f"--rank must be at most {MOST_RANK}, not {self.rank}")

    @property
    def arguments(self) -> dict[str, int | str | Path]:
        """Of the network: the tower, a path where it is here, and the rank."""
        if self.tower is None:
            return {}
        place = Path(self.tower).expanduser()
        given: dict[str, int | str | Path] = {"tower": place if place.exists() else self.tower}
        return given if self.rank is None else {**given, "rank": self.rank}
