"""Adversarial training: a decoder learns to fool the detector, the detector learns from what it draws, in turns.

A turn of the decoder: real pictures go through a trained encoder, and the decoder draws them again so that the detector
calls them real (the generator's loss of Goodfellow et al. 2014, non-saturating) while they stay near the photograph.
What it draws after that joins the training data, with every earlier turn's, as one more origin; the detector's turn is
the ordinary loop on these data, so that they pass the validator's augmentation and encoder like all others.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from detectors.checkpoints import read
from detectors.dataset.cuts import challenge_media, key_of
from detectors.dataset.items import DatasetItem, Tell, read_folder, silence
from detectors.dataset.links import link_items
from detectors.preprocess import normalise, pixels
from detectors.public_checkpoints import build
from detectors.rows import Preprocess
from detectors.torch_detector import torch_device
from detectors.training.batches import GRID
from detectors.training.loop import Progress, Training, TrainingResult, select, train
from detectors.training.recipes import recipe
from subnet.codec import image as codec
from subnet.errors import CheckpointError, SettingsError
from subnet.game.sampling import derive
from subnet.media.dataset_folder import INDEX, IndexRow, write_index, write_media
from subnet.registry import resolve
from subnet.types import Frames, Label, Media

TURNS = 3
ORIGIN = "adversary-"  # of what is drawn, followed by the number of the turn
DECODER_STEPS = 30  # of a turn
BATCH, CROP = 8, 128  # pictures and pixels of a step of the decoder
DECODER_RATE = 2e-4
NEARNESS = 10.0  # weight of the mean absolute difference from the photograph, pixels in -1..1
DRAWN = 100  # pictures that a turn adds at most

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Adversary:
    """An encoder at rest and a decoder that learns; pictures in -1..1 whose sides divide by 4."""

    encoder: nn.Module
    decoder: nn.Module

    def draw(self, pictures: Tensor) -> Tensor:
        """Pictures 0..255 (B, 3, H, W) drawn again, whole numbers in 0..255 through which gradients pass."""
        with torch.no_grad():
            latents = self.encoder(pictures.float() / 127.5 - 1.0)
        drawn: Tensor = ((self.decoder(latents) + 1.0) * 127.5).clamp(0.0, 255.0)
        return drawn + (drawn.round() - drawn).detach()


def train_adversarial(settings: Training, report: Report | None = None, tell: Tell = silence) -> TrainingResult:
    """TURNS turns from the weights `settings.init`; the last ones of the detector are written to `settings.out`.

    Each turn has a folder beside it, so that a run that is killed goes on where it was. Raises SettingsError without
    weights to start from, and what `train` raises.
    """
    chosen = recipe(settings.detector)
    if settings.init is None:
        raise SettingsError(f"init: {chosen.name} starts from trained weights of {chosen.first}; give them")
    records = select(read_folder(settings.data, tell), chosen, settings, tell)
    held = settings.validation or settings.data.parent / "validation"
    steps = -(-(settings.steps or chosen.steps) // TURNS)
    rate = settings.learning_rate or chosen.learning_rate
    adversary = Adversary(*resolve(chosen.adversary)(device=torch_device(settings.device)))
    weights, before = settings.init, None
    for turn in range(TURNS):
        folder = settings.out.with_name(f"{settings.out.stem}-turn{turn + 1}")
        _decoder_turn(adversary, weights, records, settings, folder, before, turn)
        before = folder
        out = settings.out if turn + 1 == TURNS else folder.with_suffix(".safetensors")
        own = replace(settings, detector=chosen.first, data=folder, validation=held, out=out, init=weights)
        told = _counted(report, turn * steps, TURNS * steps) if report else None
        result = train(replace(own, steps=steps, learning_rate=rate, plan=settings.plan or chosen.plan), told, tell)
        weights = result.weights
    return result


def _counted(report: Report, done: int, steps: int) -> Report:
    """Steps of one turn told as steps of the whole run."""
    return lambda step: report(replace(step, step=done + step.step, steps=steps))


def _decoder_turn(
    adversary: Adversary,
    weights: Path,
    records: Sequence[DatasetItem],
    settings: Training,
    folder: Path,
    before: Path | None,
    turn: int,
) -> None:
    """Train the decoder against `weights` and write the data of the detector's turn to `folder`, unless it is there."""
    kept = folder.with_name(f"{folder.name}-decoder.safetensors")
    if (folder / INDEX).is_file() and kept.is_file():
        adversary.decoder.load_state_dict(load_file(kept))
        return
    shutil.rmtree(folder, ignore_errors=True)
    reals = [record for record in records if record.label is Label.REAL]
    photos = [challenge_media(record, key_of(record, settings.data), settings.seed).frames[0] for record in reals]
    fool(adversary, detector(weights, settings), crops(photos, settings.seed, turn), DECODER_STEPS)
    rows = link_items(read_folder(before) if before else records, before or settings.data, folder)
    rows += _draw(adversary, reals[:DRAWN], photos, folder, turn)
    save_file({key: value.cpu().contiguous() for key, value in adversary.decoder.state_dict().items()}, kept)
    write_index(folder, rows)


def detector(weights: Path, settings: Training) -> tuple[nn.Module, Preprocess]:
    """The network to be fooled, at rest, and how its input is prepared. Raises CheckpointError."""
    chosen = recipe(recipe(settings.detector).first)
    checkpoint = read(weights)
    if checkpoint.preprocess is None:
        raise CheckpointError(f"weights: {weights} does not say how pictures are prepared; start from one of ours")
    network = build(checkpoint, chosen.name).to(torch_device(settings.device)).eval().requires_grad_(False)
    return network, checkpoint.preprocess


def crops(photos: Sequence[Frames], seed: int, turn: int) -> Iterator[Tensor]:
    """Batches of crops of random photographs, uint8 (BATCH, 3, CROP, CROP), without end."""
    rng = np.random.default_rng([seed, 4, turn])
    while True:
        batch = []
        for number in rng.integers(len(photos), size=BATCH):
            top, left = (int(rng.integers((side - CROP) // GRID + 1)) * GRID for side in photos[number].shape[:2])
            batch.append(photos[number][top : top + CROP, left : left + CROP])
        yield pixels(np.stack(batch))


def fool(
    adversary: Adversary, judge: tuple[nn.Module, Preprocess], batches: Iterator[Tensor], steps: int
) -> list[float]:
    """Train the decoder for `steps` steps; returns the mean log-odds of synthetic that the judge gave at each."""
    network, preprocess = judge
    device = next(adversary.decoder.parameters()).device
    optimiser = torch.optim.Adam(adversary.decoder.parameters(), lr=DECODER_RATE)
    course = []
    for _, photos in zip(range(steps), batches, strict=False):
        shown = photos.to(device)
        drawn = adversary.draw(shown)
        log_odds = network(normalise(drawn, preprocess))
        loss = functional.softplus(log_odds).mean() + NEARNESS * (drawn - shown).abs().mean() / 127.5
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        course.append(float(log_odds.detach().mean()))
    return course


@torch.inference_mode()
def _draw(
    adversary: Adversary, reals: Sequence[DatasetItem], photos: Sequence[Frames], folder: Path, turn: int
) -> list[IndexRow]:
    """Twins of `reals` through the decoder, written below `folder`; returns their lines."""
    device = next(adversary.decoder.parameters()).device
    rows = []
    for number, (real, photo) in enumerate(zip(reals, photos, strict=False)):
        drawn = adversary.draw(pixels(photo[None]).to(device))[0].permute(1, 2, 0).to(torch.uint8).cpu().numpy()
        file = f"drawn/{derive(turn, number, real.path.name):016x}.png"
        write_media(folder, file, codec.encode_png(Media(drawn[None], None)))
        modality = str(real.modality)
        rows.append(IndexRow(file, 1, modality, f"{ORIGIN}{turn + 1}", real.pair, None, real.licence, real.item))
    return rows
