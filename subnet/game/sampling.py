"""What to ask next, and whom: pure functions of a seed.

Round n of a validator with seed s always plans the same modality, label, level, origin and challenge seed, whatever
miners do; only the choice of hotkeys also depends on who is registered.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate

import numpy as np

from subnet.errors import SettingsError
from subnet.game.history import History
from subnet.game.scoring import VIDEO_SHARE, is_validator
from subnet.types import Label, Modality, Neuron, Snapshot

Origins = Mapping[tuple[Modality, Label], Mapping[str, float]]


@dataclass(frozen=True)
class Sampling:
    """How challenges are mixed. Shares are probabilities; level weights need not sum to 1.

    `origins` weighs, for each modality and label, the sources or generators that a sample may come from.
    """

    video_share: float = VIDEO_SHARE  # kept in every hundred rounds, to a whole percent
    synthetic_share: float = 0.5
    level_weights: tuple[float, float, float, float] = (0.25, 0.25, 0.25, 0.25)
    sample_size: int = 50  # miners asked per round
    origins: Origins = field(default_factory=dict)
    twin_share: float = 0.0  # of rounds in which some are asked a photograph, the others its synthetic twin
    public: tuple[str, ...] = ()  # origins that anybody can download, as "modality/label/origin": see `canaries`

    def __post_init__(self) -> None:
        object.__setattr__(self, "public", tuple(self.public))
        for name in ("video_share", "synthetic_share", "twin_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name} must be in [0, 1], not {getattr(self, name)}")
        if self.sample_size < 1:
            raise SettingsError(f"sample_size must be at least 1, not {self.sample_size}")
        if min(self.level_weights) < 0 or sum(self.level_weights) <= 0:
            raise SettingsError(f"level_weights must not be negative and not all 0, not {self.level_weights}")


@dataclass(frozen=True)
class RoundPlan:
    """One round before any media is drawn.

    In a twin round `label` is synthetic, and `real` names those of `hotkeys` that are asked the photograph which the
    synthetic item was made from.
    """

    number: int
    modality: Modality
    label: Label
    origin: str
    level: int
    seed: int
    hotkeys: tuple[str, ...]
    real: frozenset[str] = frozenset()


def eligible(snapshot: Snapshot, history: History, hotkey: str, stake_limit: float) -> list[Neuron]:
    """Whom the validator `hotkey` may ask: every miner that serves, and those that were asked before.

    Going away costs: who was asked once goes on being asked, and fails. Nobody else's choice depends on it.
    """
    return [
        n
        for n in snapshot.neurons
        if n.hotkey != hotkey and not is_validator(n, stake_limit) and (n.endpoint or history[n.hotkey].asked)
    ]


def round_rng(seed: int, number: int) -> np.random.Generator:
    """The stream of randomness that belongs to round `number` alone."""
    return np.random.default_rng([seed, number])


def derive(*parts: object) -> int:
    """A 63-bit seed from anything printable: sha256 of the parts joined by a unit separator.

    Names of files that are not UTF-8 count by their bytes.
    """
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def plan(seed: int, number: int, settings: Sampling, miners: Sequence[Neuron]) -> RoundPlan:
    """What round `number` asks, and of whom: at most `sample_size` of `miners`, in random order."""
    rng = round_rng(seed, number)
    modality = Modality.VIDEO if _is_video(seed, number, settings.video_share) else Modality.IMAGE
    label = Label.SYNTHETIC if rng.random() < settings.synthetic_share else Label.REAL
    level = _draw(settings.level_weights, rng)
    origin = _origin(settings.origins, modality, label, rng)
    challenge_seed = int(rng.integers(2**63))
    hotkeys = sorted([n.hotkey for n in miners])
    chosen = tuple([hotkeys[i] for i in rng.permutation(len(hotkeys))[: settings.sample_size].tolist()])
    planned = RoundPlan(number, modality, label, origin, level, challenge_seed, chosen)
    return _with_twins(planned, settings) if settings.twin_share else planned


def _with_twins(planned: RoundPlan, settings: Sampling) -> RoundPlan:
    """The plan as a twin round, in a share of rounds; its randomness is its own, so that other rounds stay as they are.

    One in which the whole lot falls on one half is a twin round all the same.
    """
    if not is_twin_round(planned.seed, settings):
        return planned
    origin = _origin(settings.origins, planned.modality, Label.SYNTHETIC, round_rng(planned.seed, 0x7718))
    real = asked_real(planned.seed, planned.hotkeys, settings)
    return replace(planned, label=Label.SYNTHETIC, origin=origin, real=real)


def is_twin_round(seed: int, settings: Sampling) -> bool:
    """Whether a challenge's `seed` makes its round a twin round."""
    return bool(round_rng(seed, 0x7717).random() < settings.twin_share)


def asked_real(seed: int, hotkeys: Iterable[str], settings: Sampling) -> frozenset[str]:
    """Those of `hotkeys` that are asked the photograph, should the challenge's `seed` make a twin round.

    Each one's half follows from the seed and its own name: whoever else is asked, each is asked synthetic media as
    often as in any other round.
    """
    return frozenset(h for h in hotkeys if derive(seed, "twin", h) >= settings.synthetic_share * 2**63)


def _is_video(seed: int, number: int, share: float) -> bool:
    """Whether round `number` asks a video: as many of each hundred rounds as `share` says, at random places.

    Drawing each round for itself would give a validator of few rounds far more or fewer videos than meant. Labels are
    drawn that way all the same: who counts them must learn nothing.
    """
    block, place = divmod(number, 100)
    return _video_order(seed, block)[place] < round(100 * share)


@lru_cache(maxsize=64)
def _video_order(seed: int, block: int) -> list[int]:
    """The order in which the rounds of a hundred become videos."""
    order: list[int] = np.random.default_rng([seed, block, 0x71DE0]).permutation(100).tolist()
    return order


def _origin(origins: Origins, modality: Modality, label: Label, rng: np.random.Generator) -> str:
    weights = origins.get((modality, label))
    if not weights:
        raise SettingsError(f"no origin is set for {label.name.lower()} {modality}: name one in the plan")
    names = sorted(weights)
    return names[_draw([weights[n] for n in names], rng)]


def _draw(weights: Sequence[float], rng: np.random.Generator) -> int:
    """A place in `weights` with a chance in proportion to each: what `rng.choice(p=...)` gives, without its checks."""
    total = sum(weights)
    cumulated = list(accumulate(weight / total for weight in weights))
    return bisect_right([part / cumulated[-1] for part in cumulated], rng.random())
