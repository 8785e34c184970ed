"""Batches with masks: photographs, their twins, and composites of the two, under the validator's own transforms."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from detectors.pixels.composites import KINDS, ODDS, Mask, compose, follow
from detectors.training.batches import Batch, Batches
from subnet.types import Frames, Media


class MaskedBatches(Batches):
    """As `Batches`, with N composites behind the N reals and the N fakes: frames (3N, 1, 3, H, W), masks (3N, H, W)."""

    needs_all = True

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng([self.seed, step])
        triples = [self._triple(rng, step) for _ in range(self.plan.pairs)]
        pictures = [triple[0][place] for place in range(3) for triple in triples]
        composed = np.stack([triple[1] for triple in triples])
        count = len(triples)
        frames = torch.from_numpy(np.stack(pictures)).permute(0, 1, 4, 2, 3).contiguous()
        labels = torch.tensor([0.0] * count + [1.0] * (2 * count))
        methods = [triple[2] for triple in triples]
        masks = torch.zeros((3 * count, *composed.shape[1:]))
        masks[count : 2 * count], masks[2 * count :] = 1.0, torch.from_numpy(composed).float()
        whole = Batch(frames, labels, torch.tensor([0] * count + methods + methods), masks)
        return whole.part(*self.part)

    def _triple(self, rng: np.random.Generator, step: int) -> tuple[tuple[Frames, Frames, Frames], Mask, int]:
        """A real, its twin and a composite, all at one level with the same chances; the mask; the fake's method."""
        fake, real = self.choose(rng)
        other, _ = self.choose(rng)
        kind = KINDS[int(rng.choice(len(KINDS), p=ODDS))]
        level, seed = self.level(rng, step), int(rng.integers(2**63))
        whole, twin, third = (self.media(record).frames for record in (real, fake, other))
        made, where = compose(whole, twin, third, kind, rng)
        show = partial(self._seeded, level, seed)
        mask = follow(where, lambda media: Media(show(media)))
        return (show(Media(whole)), show(Media(twin)), show(Media(made))), mask, self.methods[fake.origin]

    def _seeded(self, level: int, seed: int, media: Media) -> Frames:
        return self.example(media, level, np.random.default_rng(seed))
