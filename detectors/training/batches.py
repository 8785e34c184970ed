"""What a training step sees: as many reals as fakes, twins side by side, under the validator's own transforms.

Everything about step n follows from (seed, n): a run that is killed and resumed sees the same batches as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from detectors.dataset.items import DatasetItem, both_classes, stored_bytes
from detectors.pixels.composites import compose
from detectors.pixels.history import History, matched, read_history
from subnet.errors import DataError
from subnet.game.augment import DISTORTIONS, LEVELS, distort
from subnet.game.variant import variant_frames
from subnet.types import Frames, Label, Media

TRIES = 50  # pairs drawn for one place of a batch before a set is given up
GRID = 16  # crops start on multiples of this, so that JPEG blocks and pixel cells stay where they are in what is judged


@dataclass(frozen=True)
class Batch:
    """`frames` uint8 (2N, T, 3, H, W): N reals, then N fakes; fake i is the twin of real i where it has one.

    `labels` (2N,) is 0 or 1; `methods` (2N,) is 0 for real and 1.. for the origin of a fake. `masks` (2N, H, W), where
    pixels are judged, is 1 for those that are synthetic.
    """

    frames: Tensor
    labels: Tensor
    methods: Tensor
    masks: Tensor | None = None

    def part(self, rank: int, of: int) -> Batch:
        """What one of `of` ranks sees of a whole batch: every `of`-th example of each kind, from number `rank` on."""
        count = int((self.methods == 0).sum())
        places = [place for place in range(len(self.methods)) if place % count % of == rank]
        masks = None if self.masks is None else self.masks[places]
        return Batch(self.frames[places], self.labels[places], self.methods[places], masks)

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        masks = None if self.masks is None else self.masks.to(device)
        return Batch(self.frames.to(device), self.labels.to(device), self.methods.to(device), masks)

    def __reduce__(self) -> tuple[Callable[..., Batch], tuple[NDArray[Any], ...]]:
        """By value, through a pipe: tensors of workers would go through /dev/shm, of which containers have 64 MB."""
        fields = (self.frames, self.labels, self.methods, self.masks)
        return _batch_of, tuple(field.numpy() for field in fields if field is not None)


def _batch_of(*fields: NDArray[Any]) -> Batch:
    return Batch(*(torch.from_numpy(field) for field in fields))


@dataclass(frozen=True)
class BatchPlan:
    """How items become training examples. `levels` are the odds of augmentation levels 0..3, early and late in the run.

    `frames` is how many neighbouring frames the network sees (1 for an image network), out of `span` that are encoded
    together; `crop` is in pixels; `distortion` is the chance of a further chain of up to `chain` distortions of random
    strength. Of pictures, `history` is the chance that both of a pair are brought to one JPEG and resize history, and
    `inpainted` the chance that of a twin only a region stands, in its photograph.
    """

    pairs: int = 8
    crop: int = 128
    frames: int = 1
    span: int = 1
    early: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
    late: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)
    distortion: float = 0.0
    chain: int = 1
    history: float = 0.0
    inpainted: float = 0.0

    def __post_init__(self) -> None:
        if self.pairs < 1 or not 1 <= self.frames <= self.span or not 16 <= self.crop <= 256 or self.crop % GRID:
            raise ValueError(
                f"pairs >= 1, 1 <= frames <= span and crop a multiple of {GRID} in 16..256 are needed: {self}"
            )
        chances = (self.distortion, self.history, self.inpainted)
        if len(self.early) != len(LEVELS) or len(self.late) != len(LEVELS) or not all(0 <= c <= 1 for c in chances):
            raise ValueError(f"odds are needed for each of the levels {LEVELS}, and chances are 0 to 1: {self}")
        if self.chain < 1 or (self.frames > 1 and self.history + self.inpainted):
            raise ValueError(f"a chain has at least one distortion; history and inpainted are of pictures: {self}")


def stretch(media: Media, frames: int, rng: np.random.Generator) -> Media:
    """`frames` neighbouring frames from a random place (all where there are fewer); an image stays an image."""
    if media.fps is None or len(media.frames) <= frames:
        return media
    start = int(rng.integers(len(media.frames) - frames + 1))
    return Media(media.frames[start : start + frames], media.fps)


def challenge_variant(media: Media, level: int, distortion: float, rng: np.random.Generator, longest: int = 1) -> Media:
    """The variant that a miner would be sent, after an optional chain of at most `longest` distortions."""
    if rng.random() < distortion:
        for _ in range(int(rng.integers(longest)) + 1 if longest > 1 else 1):
            name = str(rng.choice([name for name in DISTORTIONS if name != "h264" or media.fps]))
            media = Media(distort(media.frames, name, float(rng.random()) * 0.7, rng), media.fps)
    return variant_frames(media, level, rng)


def _cut(frames: Frames, crop: int, rng: np.random.Generator) -> Frames:
    height, width = frames.shape[1:3]
    top, left = (int(rng.integers((side - crop) // GRID + 1)) * GRID for side in (height, width))
    return frames[:, top : top + crop, left : left + crop]


@dataclass(frozen=True)
class Draw:
    """What an example of a pair is made of: the items, the augmentation level, and the seed of everything else."""

    fake: DatasetItem
    real: DatasetItem
    level: int
    seed: int


@lru_cache(maxsize=1 << 16)
def history_of(record: DatasetItem) -> History:
    """What the stored file of an item went through."""
    return read_history(stored_bytes(record))


def paired(
    draw: Draw, media: Callable[[DatasetItem], Media], plan: BatchPlan, rng: np.random.Generator
) -> tuple[Media, Media]:
    """The media of a real and a fake as the plan makes a pair of them: a region of the twin alone, one history."""
    real, fake = media(draw.real), media(draw.fake)
    if real.fps is not None or fake.fps is not None or real.frames.shape != fake.frames.shape:
        return real, fake
    twins = bool(draw.fake.pair) and draw.fake.pair == draw.real.pair
    if rng.random() < plan.inpainted and twins:
        fake = Media(compose(real.frames, fake.frames, fake.frames, "in-painted", rng)[0])
    if rng.random() < plan.history:
        stored = history_of(draw.real), history_of(draw.fake)
        real, fake = map(Media, matched(real.frames, fake.frames, stored, rng))
    return real, fake


def take_all(record: DatasetItem) -> bool:
    """Every item is of use."""
    return True


class Batches(Dataset[Batch]):
    """Item n is the batch of step n, or the part of it that rank `part[0]` of `part[1]` sees.

    `media` gives the pixels of a record (held in memory by the caller); what is not `usable` is drawn again. `methods`
    are the numbers of origins, where `records` are a part of a larger set.
    """

    needs_all = False  # whether any of `records` may be asked for, beside those of `draws`

    def __init__(
        self,
        records: Sequence[DatasetItem],
        media: Callable[[DatasetItem], Media],
        plan: BatchPlan,
        *,
        steps: int,
        seed: int,
        methods: Mapping[str, int] | None = None,
        part: tuple[int, int] = (0, 1),
        usable: Callable[[DatasetItem], bool] = take_all,
    ) -> None:
        both_classes(records, "the training set")
        self.records, self.media, self.plan, self.steps, self.seed = records, media, plan, steps, seed
        self.part, self.usable = part, usable
        self.methods = methods or numbered(records)
        self._reals = [record for record in records if record.label is Label.REAL]
        self._twins = {record.pair: record for record in self._reals if record.pair}
        pairs = {record.pair for record in records if record.label is Label.SYNTHETIC}
        self._single = [record for record in self._reals if record.pair not in pairs]
        fakes: dict[str, list[DatasetItem]] = {origin: [] for origin in self.methods}
        for record in records:
            if record.label is Label.SYNTHETIC:
                fakes[record.origin].append(record)
        self._fakes = [group for group in fakes.values() if group]

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        pairs = [self._pair(draw) for draw in self.draws(step)]
        frames = [real for real, _, _ in pairs] + [fake for _, fake, _ in pairs]
        count = len(pairs)
        stacked = torch.from_numpy(np.stack(frames)).permute(0, 1, 4, 2, 3).contiguous()
        labels = torch.tensor([0.0] * count + [1.0] * count)
        return Batch(stacked, labels, torch.tensor([0] * count + [method for _, _, method in pairs]))

    def draws(self, step: int) -> list[Draw]:
        """The pairs of step n that this rank sees. Raises DataError where next to nothing is usable."""
        rng, (rank, of) = np.random.default_rng([self.seed, step]), self.part
        drawn = []
        for place in range(self.plan.pairs):
            fake, real = self.choose(rng)
            level, seed = self.level(rng, step), int(rng.integers(2**63))
            if place % of == rank:
                drawn.append(Draw(*self._usable(fake, real, [self.seed, step, place]), level, seed))
        return drawn

    def _usable(self, fake: DatasetItem, real: DatasetItem, key: list[int]) -> tuple[DatasetItem, DatasetItem]:
        """The pair, or the first of those drawn in its place of which both can be used."""
        for attempt in range(TRIES):
            if self.usable(fake) and self.usable(real):
                return fake, real
            fake, real = self.choose(np.random.default_rng([*key, attempt]))
        raise DataError(f"data: {TRIES} pairs in a row are of no use, the last of {fake.path} and {real.path}")

    def _pair(self, draw: Draw) -> tuple[Frames, Frames, int]:
        """A fake and its real as frames: same level, same chance."""
        media = paired(draw, self.media, self.plan, np.random.default_rng([draw.seed, 1]))
        real, fake = (self.example(each, draw.level, np.random.default_rng(draw.seed)) for each in media)
        return real, fake, self.methods[draw.fake.origin]

    def choose(self, rng: np.random.Generator) -> tuple[DatasetItem, DatasetItem]:
        """A fake, origins equally often, and its twin, or any real where there is none."""
        group = self._fakes[int(rng.integers(len(self._fakes)))]
        fake = group[int(rng.integers(len(group)))]
        return fake, self._real(fake, rng)

    def level(self, rng: np.random.Generator, step: int) -> int:
        """The augmentation level of an example of this step."""
        mix = step / max(1, self.steps)
        odds = (1 - mix) * np.array(self.plan.early) + mix * np.array(self.plan.late)
        return int(rng.choice(LEVELS, p=odds / odds.sum()))

    def _real(self, fake: DatasetItem, rng: np.random.Generator) -> DatasetItem:
        """The twin; where there is none, and once in five times if there are reals without a twin, any of those."""
        twin = self._twins.get(fake.pair) if fake.pair else None
        if twin is not None and not (self._single and rng.random() < 0.2):
            return twin
        others = self._single or self._reals
        return others[int(rng.integers(len(others)))]

    def example(self, media: Media, level: int, rng: np.random.Generator) -> Frames:
        """What the network is shown of an item."""
        media = stretch(media, self.plan.span, rng)
        media = stretch(self._variant(media, level, rng.spawn(1)[0]), self.plan.frames, rng)
        frames = _cut(media.frames, self.plan.crop, rng)
        missing = self.plan.frames - len(frames)
        return frames if missing <= 0 else np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])

    def _variant(self, media: Media, level: int, rng: np.random.Generator) -> Media:
        return challenge_variant(media, level, self.plan.distortion, rng, self.plan.chain)


def numbered(records: Sequence[DatasetItem]) -> Mapping[str, int]:
    """Numbers 1.. for the origins of the fakes, in alphabetical order; 0 is for reals."""
    origins = sorted({record.origin for record in records if record.label is Label.SYNTHETIC})
    return {origin: number for number, origin in enumerate(origins, start=1)}
