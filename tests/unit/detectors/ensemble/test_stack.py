"""Several detectors as one: fitted, pinned to its members, and accountable for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from detectors import TABLE, load_detector
from detectors.acceleration.accelerate import accelerated, backend_of, drift
from detectors.acceleration.options import EAGER, Backend
from detectors.checkpoints import HERE, read, sha256_of, write
from detectors.ensemble.stack import CERTAIN, Ensemble, log_odds, mean_of
from detectors.heads.head import Head
from detectors.loading import open_detector
from detectors.rows import Preprocess
from detectors.torch_detector import TorchDetector
from detectors.training.loop import Progress, Training, train
from subnet.errors import CheckpointError, MediaUnreadable, SettingsError, UnknownName
from subnet.types import Media, Modality, Prediction
from tests.unit.detectors.folders import assert_paced, photos, write_images

NPR, WEAK = HERE / TABLE["npr"].weights, HERE / TABLE["npr-weak"].weights


class Bright:
    """Says the share of light that a picture has, times a factor, as log-odds."""

    modality, weights_hash = Modality.IMAGE, "ab"

    def __init__(self, name: str, factor: float) -> None:
        self.name, self.factor = name, factor

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        return [Prediction(1 / (1 + float(np.exp(-self.factor * (m.frames.mean() / 255 - 0.5))))) for m in batch]


def grey(level: int) -> Media:
    return Media(np.full((1, 64, 64, 3), level, dtype=np.uint8))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stack")
    data = write_images(root / "validation", 3, "validation")
    settings = Training(
        "ensemble", data, root / "ensemble.safetensors", validation=data, experts=(("npr", NPR), ("npr-weak", WEAK))
    )
    told: list[Progress] = []
    weights = train(settings, told.append).weights
    assert_paced(told)
    return weights


def test_shares_sum_up_to_the_answer() -> None:
    """Bias and contributions are the logit, and a member's contribution is its weight times its standardised log-odds."""
    head = Head(2)
    head.mean.copy_(torch.tensor([0.5, -1.0]))
    head.scale.copy_(torch.tensor([2.0, 0.5]))
    head.weight.copy_(torch.tensor([1.5, -0.25]))
    head.bias.fill_(0.3)
    stack = Ensemble("ensemble", {"a": Bright("a", 4.0), "b": Bright("b", -2.0)}, head)
    for level in (0, 90, 255):
        shares = stack.shares(grey(level))
        light = level / 255 - 0.5
        assert [share.log_odds for share in shares] == pytest.approx([4 * light, -2 * light], abs=1e-3)
        assert shares[0].contribution == pytest.approx(1.5 * (4 * light - 0.5) / 2, abs=1e-3)
        logit = float(stack.logits([grey(level)])[0])
        assert sum(share.contribution for share in shares) + 0.3 == pytest.approx(logit, abs=1e-3)


def test_the_mean_of_members_is_the_mean_of_their_log_odds() -> None:
    """Without a fit all weigh the same; the order of what is asked stays."""
    stack = mean_of("ensemble", ["npr", "npr-weak", "npr"], "cpu")
    media = [item for _, item in photos(3)]
    parts = [[log_odds(answer) for answer in load_detector(name).predict(media)] for name in ("npr", "npr-weak")]
    np.testing.assert_allclose(stack.logits(media).numpy(), np.mean(parts, axis=0), atol=1e-3)
    assert [log_odds(answer) for answer in stack.predict(media)] == pytest.approx(
        stack.logits(media).tolist(), abs=1e-3
    )
    assert stack.predict([]) == []
    assert isinstance(open_detector("ensemble=npr,npr-weak"), Ensemble)


def test_certainty_stays_finite() -> None:
    """A member that says 0 or 1 does not end all doubt."""
    assert log_odds(Prediction(1.0)) == pytest.approx(np.log((1 - CERTAIN) / CERTAIN))
    assert log_odds(Prediction(0.0)) == pytest.approx(-np.log((1 - CERTAIN) / CERTAIN))


def test_a_fitted_stack_names_its_members(fitted: Path) -> None:
    """Two numbers a member and their standardisation: no weights of members are copied, their sha256 are pinned."""
    state, notes = load_file(fitted), read(fitted).notes
    assert set(state) == {"head.mean", "head.scale", "head.weight", "head.bias"}
    assert [each["sha256"] for each in notes["members"]] == [TABLE["npr"].sha256, TABLE["npr-weak"].sha256]
    stack = open_detector(str(fitted))
    assert isinstance(stack, Ensemble)
    assert list(stack.members) == [f"npr={NPR}", f"npr-weak={WEAK}"]
    assert stack.calibration == read(fitted).calibration
    assert stack.weights_hash == sha256_of(fitted)
    assert float(stack.head.weight.sum()) > 0  # what members call synthetic, the stack does


def test_members_with_other_weights_are_refused(fitted: Path, tmp_path: Path) -> None:
    """A stack that was fitted on other weights is not believed; nor a file that is no stack, or weighs others."""
    state, notes = load_file(fitted), dict(read(fitted).notes)
    for members, message in (
        ([{"detector": "npr", "sha256": "0" * 64}, {"detector": "npr-weak", "sha256": "0" * 64}], "fit it again"),
        ([{"detector": "npr", "sha256": TABLE["npr"].sha256}], "weighs 2 members and names 1"),
        ([{"name": "npr"}], "no stack"),
    ):
        path = tmp_path / "other.safetensors"
        write(path, state, preprocess=Preprocess(), notes={**notes, "members": members})
        with pytest.raises(CheckpointError, match=message):
            open_detector(str(path))
    with pytest.raises(CheckpointError, match="no stack"):
        open_detector(f"ensemble={NPR}")


def test_members_that_do_not_go_together_are_refused() -> None:
    """An image detector beside a video detector, one alone, a name that is not there, a clip for a stack of images."""
    with pytest.raises(SettingsError, match="same kind of media"):
        open_detector("ensemble=random,random-video")
    with pytest.raises(SettingsError, match="at least two"):
        open_detector("ensemble=npr,npr")
    with pytest.raises(UnknownName, match="did you mean npr"):
        open_detector("ensemble=nprr,ucf")
    with pytest.raises(MediaUnreadable, match="judges image"):
        open_detector("ensemble=random,constant").predict([Media(np.zeros((4, 8, 8, 3), np.uint8), 8.0)])


class Tiny(nn.Module):
    """Mean light, which no exporter is asked about."""

    exportable = False

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(1, 2, 3))


def test_members_are_served_as_fast_as_alone() -> None:
    """Each member with a network is accelerated, the others come back as they are; answers stay."""
    network = TorchDetector("tiny", Modality.IMAGE, Tiny(), preprocess=Preprocess())
    stack = Ensemble("ensemble", {"tiny": network, "bright": Bright("bright", 3.0)}, Head(2))
    stack.head.weight.fill_(0.5)
    served = accelerated(stack)
    assert isinstance(served, Ensemble)
    assert backend_of(served) == Backend(channels_last=True)
    assert backend_of(stack) == EAGER
    assert served.members["bright"] is stack.members["bright"]
    assert drift(stack, served, [grey(10), grey(200)]) < 1e-5
