"""Any image classifier in transformers' format as a detector: `hub=FOLDER`, or `hub=OWNER/NAME@REVISION`.

Its own image processor prepares the pixels, and the words of its `id2label` say which outputs are synthetic. No code of
the repository is run, and nothing is unpickled: weights are read from safetensors alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detectors.checkpoints import sha256_of
from detectors.dataset.folder_names import label_of
from detectors.rows import DetectorRow, Preprocess
from detectors.tensor_files import some
from detectors.torch_detector import TorchDetector, Views, torch_device
from subnet.errors import CheckpointError, MediaUnreadable
from subnet.types import Label, Media

# Words of published classifiers beside those that folders of data sets are called by.
WORDS = {
    **dict.fromkeys(("human", "hum", "realism", "photo", "photograph", "camera", "live", "bonafide"), Label.REAL),
    **dict.fromkeys(
        (
            "deep_fake",
            "ai_image",
            "ai_art",
            "ai_made",
            "gan",
            "diffusion",
            "sd",
            "sdxl",
            "dalle",
            "midjourney",
        ),
        Label.SYNTHETIC,
    ),
}
CONFIG = "config.json"
FILES = ("*.json", "*.safetensors")
_ADDRESS = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")
WEIGHTS = "*.safetensors"


class Classifier(nn.Module):
    """Pixels (V, 3, H, W) -> log-odds of synthetic (V,): all synthetic classes against all real ones.

    A single output is the log-odds of its own class.
    """

    synthetic: Tensor
    real: Tensor

    def __init__(self, model: nn.Module, labels: Mapping[int, Label]) -> None:
        super().__init__()
        self.model = model
        for name, label in (("synthetic", Label.SYNTHETIC), ("real", Label.REAL)):
            places = [place for place, each in labels.items() if each is label]
            self.register_buffer(name, torch.tensor(places, dtype=torch.int64), persistent=False)

    def forward(self, x_VCHW: Tensor) -> Tensor:
        logits: Tensor = self.model(pixel_values=x_VCHW).logits
        if logits.shape[1] == 1:
            return logits[:, 0] if len(self.synthetic) else -logits[:, 0]
        return logits[:, self.synthetic].logsumexp(dim=1) - logits[:, self.real].logsumexp(dim=1)


def hub(row: DetectorRow, *, device: str = "cpu", weights: Path | str | None = None) -> TorchDetector:
    """The classifier of a folder or of a repository at a commit. Raises CheckpointError naming what is wrong."""
    if weights is None:
        raise CheckpointError(f"weights: nothing ships for {row.name}; give {row.requires}")
    place, folder = torch_device(device), locate(str(weights))
    labels = polarity(config_of(folder), folder / CONFIG)
    model = _model(folder)
    return TorchDetector(
        row.name,
        row.modality,
        Classifier(model, labels),
        preprocess=row.preprocess,
        views=_views(_processor(folder)),
        weights_hash=hash_of(folder),
        device=place,
    )


def locate(spec: str, name: str = "hub") -> Path:
    """The folder of a repository, fetched where it is an address; `name` is its row. Raises CheckpointError."""
    folder = Path(spec).expanduser()
    if folder.is_dir():
        return folder
    match = _ADDRESS.fullmatch(spec)
    if match is None:
        raise CheckpointError(f"weights: {spec} is no folder; write {name}=FOLDER or {name}=OWNER/NAME@<40 hex commit>")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(match["repo"], revision=match["revision"], allow_patterns=list(FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(f"weights: {spec} cannot be fetched: {error}") from error


def config_of(folder: Path) -> dict[str, Any]:
    """The configuration of a folder with safetensors. Raises CheckpointError."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"weights: {folder} is no repository of transformers: config.json: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("id2label", {}), dict):
        raise CheckpointError(f"weights: {path} is no configuration of a classifier")
    if config.get("auto_map"):
        raise CheckpointError(f"weights: {folder} needs code of its own, which is never run: take another repository")
    if not list(folder.glob(WEIGHTS)):
        raise CheckpointError(
            f"weights: {folder} has no safetensors, and nothing else is read: save it again with save_pretrained()"
        )
    return config


def polarity(config: Mapping[str, Any], path: Path = Path(CONFIG)) -> dict[int, Label]:
    """Which class each output is, by the words of `id2label`. Raises CheckpointError naming unknown words, and what to
    write into the file `path` in their place."""
    try:
        names = {int(place): str(name) for place, name in config.get("id2label", {}).items()}
    except ValueError as error:
        raise CheckpointError(f"weights: id2label in config.json numbers its labels wrongly: {error}") from error
    known = {place: label_of_word(name) for place, name in names.items()}
    unknown = [names[place] for place, label in known.items() if label is None]
    if unknown or not names:
        found = ", ".join(names.values()) or "none, and so by default LABEL_0, LABEL_1"
        raise CheckpointError(
            f"weights: {path} names the labels {found}; they do not say which output is real and which synthetic: look "
            'it up where the repository comes from, write for example "id2label": {"0": "real", "1": "fake"} into '
            "config.json of a folder of your own, and pass hub=FOLDER"
        )
    labels = {place: label for place, label in known.items() if label is not None}
    if len(labels) > 1 and len(set(labels.values())) == 1:
        raise CheckpointError(f"weights: all labels in config.json say the same: {', '.join(names.values())}")
    return labels


def label_of_word(word: str) -> Label | None:
    """What the name of a class says."""
    plain = word.strip()
    return label_of(plain) if label_of(plain) is not None else WORDS.get(re.sub(r"[\s.-]+", "_", plain.lower()))


@contextmanager
def quiet() -> Iterator[None]:
    """transformers' warnings and progress bars are not for our users."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _model(folder: Path) -> nn.Module:
    from transformers import AutoModelForImageClassification

    return load(folder, AutoModelForImageClassification, "image classifier")


def load(folder: Path, loader: Any, what: str, ignored: Sequence[str] = ()) -> nn.Module:
    """The network of a folder by one of transformers' loaders, filled strictly but for `ignored` beginnings of keys.

    Raises CheckpointError.
    """
    from safetensors import SafetensorError

    try:
        with quiet():
            model, found = loader.from_pretrained(
                folder,
                trust_remote_code=False,
                use_safetensors=True,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (*BROKEN, SafetensorError) as error:
        raise CheckpointError(f"weights: {folder} holds no {what} that can be loaded: {error}") from error
    keys = [*found["missing_keys"], *found["unexpected_keys"], *found["mismatched_keys"]]
    if wrong := [key for key in map(str, keys) if not key.startswith(tuple(ignored))]:
        raise CheckpointError(f"weights: those in {folder} do not fit its config.json: {some(sorted(wrong))}")
    network: nn.Module = model.eval()
    return network


def _processor(folder: Path) -> Any:
    from transformers import AutoImageProcessor

    try:
        with quiet():
            return AutoImageProcessor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except BROKEN as error:
        raise CheckpointError(
            f"weights: {folder} has no image processor (preprocessor_config.json) that can be used: {error}"
        ) from error


BROKEN = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError)  # strangers' configurations


def _views(processor: Any) -> Views:
    """The repository's own preprocessing of a picture: (1, 3, H, W)."""

    def views(media: Media, preprocess: Preprocess, device: torch.device) -> Tensor:
        if len(media.frames) != 1:
            raise MediaUnreadable(f"an image detector was given {len(media.frames)} frames; use a video detector")
        frame = media.frames[0].copy()
        with quiet():
            made = processor(
                images=torch.from_numpy(frame).permute(2, 0, 1), return_tensors="pt", input_data_format="channels_first"
            )
        values: Tensor = made["pixel_values"]
        return values.to(device)

    return views


def hash_of(folder: Path) -> str:
    """sha256 of the weights' file; of several the sha256 of theirs, in the order of their names."""
    hashes = [sha256_of(path) for path in sorted(folder.glob(WEIGHTS))]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
