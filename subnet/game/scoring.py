"""Who has earned what: the incentive formula, and nothing else. Pure.

    reward = (MCC / 2 + accuracy / 2) x penalty        per modality, over rolling windows
    score  = (1 - alpha) score + alpha reward          for hotkeys asked this round
    payment = min(average, headroom x score)            average: of rewards, over a long time

MCC is Matthews' correlation (Matthews 1975, eq. 1; Chicco & Jurman 2020) over the last 100 outcomes, accuracy counts
the last 10. A missing or unusable answer is a wrong answer in the window and makes this round's penalty 0, so that
silence on hard items never pays. Nobody's score depends on anybody else's answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from subnet.errors import SettingsError
from subnet.game.history import History, Standing, Window
from subnet.types import Failure, Modality, ModalityScore, Neuron, Outcome, Prediction, Score

ALPHA = 0.05  # of the score
AVERAGING = 400  # answers that the average looks back on
HEADROOM = 1.1  # what is paid is at most this many times the score
IMAGE_SHARE, VIDEO_SHARE = 0.95, 0.05  # of rewards, of what is asked, and so of what a pool is filled with

# Kinds of failure that our own network, clock or firewall may have caused. When nobody got any further than these,
# the round says nothing about miners.
UNHEARD = frozenset({Failure.TIMEOUT, Failure.UNREACHABLE, Failure.REFUSED})


@dataclass(frozen=True)
class Smoothing:
    """How what is paid follows what is answered: the part that the formula leaves open, chosen in `assay lab`.

    The score forgets in 1 / `alpha` answers, too soon to tell .90 from .93. So weights follow an average of the same
    rewards: over all answers of a hotkey at first, later over about the last `averaging` of them; 0 pays the score.
    What is paid never lies above `headroom` times the score, which begins at zero and forgets sooner: neither a
    newcomer's luck nor a past that is over is paid.
    """

    alpha: float = ALPHA
    averaging: int = AVERAGING
    headroom: float = HEADROOM

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 1:
            raise SettingsError(f"alpha must be above 0 and at most 1, not {self.alpha}")
        if self.averaging < 0:
            raise SettingsError(f"averaging must be 0 (off) or a number of answers, not {self.averaging}")
        if not self.headroom >= 1:
            raise SettingsError(f"headroom must be at least 1, not {self.headroom}")


SMOOTHING = Smoothing()


def mcc(window: Window) -> float:
    """Matthews' correlation over the window, in [0, 1]: below 0 counts as 0, and so does a window of one class."""
    tp, fp, fn, tn = window.confusion()
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return max(0.0, (tp * tn - fp * fn) / math.sqrt(product)) if product else 0.0


def modality_reward(window: Window) -> float:
    """MCC / 2 + accuracy / 2 of one modality, in [0, 1]; 0 when never asked."""
    return mcc(window) / 2 + window.accuracy() / 2


# Of two windows only the one that was asked changes; the other's reward is known from the round before: one of each of
# 256 miners, four times over.
_unchanged = lru_cache(maxsize=1 << 10)(modality_reward)


def reward(standing: Standing) -> float:
    """Both modalities' rewards by their shares, over the modalities this hotkey was ever asked; no penalty yet."""
    image, video = standing.image, standing.video
    return _both(image, video, modality_reward(image), modality_reward(video))


def _both(image: Window, video: Window, of_image: float, of_video: float) -> float:
    total = (IMAGE_SHARE if image.asked else 0.0) + (VIDEO_SHARE if video.asked else 0.0)
    return (IMAGE_SHARE * of_image + VIDEO_SHARE * of_video) / total if total else 0.0


def advance(standing: Standing, outcome: Outcome, smoothing: Smoothing = SMOOTHING) -> Standing:
    """This hotkey's standing after one outcome."""
    image, video, score, answered, failures, average = standing
    answer, is_image = outcome.answer, outcome.modality is Modality.IMAGE
    if is_image:
        image = image.push(outcome.label, outcome.correct)
    else:
        video = video.push(outcome.label, outcome.correct)
    earned = 0.0  # with the penalty
    if isinstance(answer, Prediction):
        answered += 1
        of_image = modality_reward(image) if is_image else _unchanged(image)
        of_video = _unchanged(video) if is_image else modality_reward(video)
        earned = _both(image, video, of_image, of_video)
    else:
        failures = {**failures, answer: failures.get(answer, 0) + 1}
    score = (1 - smoothing.alpha) * score + smoothing.alpha * earned
    average += (earned - average) / max(1, min(image.asked + video.asked, smoothing.averaging))
    return Standing(image, video, score, answered, failures, average)


def payment(standing: Standing, smoothing: Smoothing = SMOOTHING) -> float:
    """What weights are proportional to, 0..1: the average, as far as the score bears it out."""
    return min(standing.average, smoothing.headroom * standing.score) if smoothing.averaging else standing.score


def is_void(outcomes: Sequence[Outcome]) -> bool:
    """True when the round says nothing about miners: several were asked and not one was heard."""
    return len(outcomes) > 1 and all(isinstance(o.answer, Failure) and o.answer in UNHEARD for o in outcomes)


def settle(history: History, outcomes: Sequence[Outcome], smoothing: Smoothing = SMOOTHING) -> History:
    """The history after one round. A void round changes nothing; a hotkey that was not asked keeps its standing."""
    if is_void(outcomes):
        return history
    standings = dict(history.standings)
    for outcome in outcomes:
        standings[outcome.hotkey] = advance(history[outcome.hotkey], outcome, smoothing)
    return History(standings)


def retain(history: History, hotkeys: frozenset[str]) -> History:
    """Forget hotkeys that left the subnet: one that registers again starts from zero."""
    return History({hotkey: s for hotkey, s in history.standings.items() if hotkey in hotkeys})


def score(history: History, hotkey: str) -> Score:
    """The score of one hotkey with its parts, for people and reports."""
    standing = history[hotkey]
    parts = {}
    for modality in Modality:
        window = standing.window(modality)
        parts[modality] = ModalityScore(
            window.accuracy(), mcc(window), modality_reward(window), window.asked, window.length
        )
    return Score(hotkey, standing.score, parts, standing.asked, standing.answered, standing.failures)


def weights(
    history: History, neurons: Sequence[Neuron], stake_limit: float, smoothing: Smoothing = SMOOTHING
) -> dict[int, float]:
    """Weights by uid that sum to 1, or nothing when nobody has earned anything. Validators get none."""
    earned = {n.uid: payment(history[n.hotkey], smoothing) for n in neurons if not is_validator(n, stake_limit)}
    earned = {uid: value for uid, value in earned.items() if value > 0}
    total = math.fsum(earned.values())
    return {uid: value / total for uid, value in earned.items()}


def evidence(history: History, neurons: Sequence[Neuron], stake_limit: float) -> int:
    """How many answers stand behind the median miner's score: asked ever, over miners that serve or were asked before.

    Weights on less than a few dozen pay luck: see `python -m benchmarks.first_weights`.
    """
    miners = (n for n in neurons if not is_validator(n, stake_limit))
    asked = sorted(history[n.hotkey].asked for n in miners if n.endpoint or history[n.hotkey].asked)
    return asked[(len(asked) - 1) // 2] if asked else 0


def is_validator(neuron: Neuron, stake_limit: float) -> bool:
    """A permit and enough stake to set weights: such a neuron is not asked and not paid as a miner.

    Permits alone go to every staked neuron of a small subnet, miners among them, hence the limit (TAO-equivalent).
    """
    return neuron.permit and neuron.stake >= stake_limit
