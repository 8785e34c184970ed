"""Heat maps, timelines and the deletion test."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from detectors import load_detector
from detectors.calibration import Calibration
from detectors.ensemble.stack import Ensemble
from detectors.explain.account import account, lines
from detectors.explain.deletion import deletion
from detectors.explain.maps import Explainable, cells, explainable, heat_map, to_pictures, to_views
from detectors.explain.picture import draw
from detectors.explain.timeline import timeline
from detectors.heads.head import Head
from detectors.npr.frames import frame_views
from detectors.npr.network import NPR
from detectors.retrieval.index import Index, entry, fill
from detectors.rows import Preprocess
from detectors.tall.network import TALL, clip_views
from detectors.torch_detector import TorchDetector
from subnet.errors import SettingsError
from subnet.types import Label, Media, Modality


class Spot(nn.Module):
    """Calls synthetic what has bright red in it, by a convolution and a mean over places."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 2, 8, stride=8, bias=False)
        with torch.no_grad():
            self.body.weight.zero_()
            self.body.weight[0, 0] = 1 / 64
            self.body.weight[1, 2] = 1 / 64

    def forward(self, x: Tensor) -> Tensor:
        places = torch.relu(self.body(x)).mean(dim=(2, 3))
        return 8 * places[:, 0] - 8 * places[:, 1]


PLAIN = Preprocess((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 128, "squash")


def spotted(channel: int) -> Media:
    """A dark picture with one bright square of a colour at the top left."""
    frame = np.full((1, 128, 128, 3), 12, dtype=np.uint8)
    frame[0, 16:48, 16:48, channel] = 250
    return Media(frame)


@pytest.fixture
def spot() -> Explainable:
    return Explainable(TorchDetector("spot", Modality.IMAGE, Spot(), preprocess=PLAIN), "body", "maps")


@pytest.mark.parametrize("name", ["a$b_{$.jpg", "$x$", "写真.png", "caf\\udce9", "[/b]{0}%s"])
def test_a_name_is_drawn_as_it_is(name: str) -> None:
    """Letters of a name are no formula, and one that the font lacks costs no warning."""
    assert draw(name, 0.5, Calibration(), None).startswith(b"\x89PNG")


@pytest.mark.parametrize(("channel", "label"), [(0, Label.SYNTHETIC), (2, Label.REAL)])
def test_map_marks_the_evidence_for_the_answer(spot: Explainable, channel: int, label: Label) -> None:
    """Red speaks for synthetic and blue for real: the map lies on the square that decided, and nowhere else."""
    found = heat_map(spot, spotted(channel))
    assert found.evidence_for is label
    assert found.heat.shape == (1, 128, 128)
    assert found.heat[0, 24:40, 24:40].min() > 0.8
    assert found.heat[0, 64:, 64:].max() < 0.2
    np.testing.assert_array_equal(found.pictures[0], spotted(channel).frames[0])


@pytest.mark.parametrize("channel", [0, 2])
def test_deletion_tells_a_faithful_map(spot: Explainable, channel: int) -> None:
    """Removing what the map marks moves the answer more than removing anything; an inverted map does worse than that."""
    media, rng = spotted(channel), np.random.default_rng(0)
    found = heat_map(spot, media)
    good = deletion(spot, media, found, rng)
    assert good.faithful
    assert good.gain > 0.1
    inverted = type(found)(1 - found.heat, found.pictures, found.log_odds, found.evidence_for)
    assert not deletion(spot, media, inverted, rng).faithful


def clip(frames: int = 8) -> Media:
    rng = np.random.default_rng(1)
    return Media(rng.integers(0, 256, (frames, 128, 128, 3), dtype=np.uint8), 4.0)


def small_tall() -> TorchDetector:
    torch.manual_seed(0)
    network = TALL(width=16, depths=(1, 1, 1, 1), heads=(1, 2, 2, 2))
    preprocess = Preprocess(size=112, rule="tiles")
    return TorchDetector("tall", Modality.VIDEO, network, preprocess=preprocess, views=clip_views)


def test_networks_of_the_table_have_maps() -> None:
    """The layers that rows name exist, and give maps of the picture's size, from maps and from tokens."""
    npr = TorchDetector("npr", Modality.IMAGE, NPR(), preprocess=Preprocess(size=64))
    found = heat_map(explainable(npr), spotted(0))
    assert found.heat.shape == (1, 64, 64)
    of_clip = heat_map(explainable(small_tall()), clip())
    assert of_clip.heat.shape == (8, 224, 224)  # two clips in four corners each
    assert of_clip.pictures.shape == (8, 224, 224, 3)
    assert 0 <= of_clip.heat.min() <= of_clip.heat.max() <= 1


def test_mosaics_come_apart_again() -> None:
    """Four frames as one picture and back are the same four frames."""
    views = torch.rand(2, 4, 3, 6, 8)
    assert torch.equal(to_views(to_pictures(views), views), views)
    assert torch.equal(to_views(to_pictures(views[:, 0]), views[:, 0]), views[:, 0])


def test_timeline_covers_every_frame_of_clips() -> None:
    """A detector of clips says something about each frame; one of frames, about those it looked at, in time."""
    moments = timeline(small_tall(), clip(10))
    assert [moment.frame for moment in moments] == list(range(10))
    assert moments[4].seconds == 1.0
    frames = TorchDetector("frames", Modality.VIDEO, NPR(), preprocess=Preprocess(size=64), views=frame_views)
    looked = timeline(frames, clip(24))
    assert len(looked) == 8
    assert all(0 <= moment.p_synthetic <= 1 for moment in looked)
    assert timeline(frames, spotted(0)) == ()


def test_what_has_no_network_says_so() -> None:
    """A baseline cannot be explained; the message names detectors that can."""
    with pytest.raises(SettingsError, match="npr"):
        explainable(load_detector("random"))


def test_picture_is_drawn(spot: Explainable) -> None:
    """The PNG of an image and that of a clip with a timeline decode, and are not blank."""
    found = heat_map(spot, spotted(0))
    moments = timeline(small_tall(), clip())
    for png in (draw("x.png", 0.9, Calibration(), found), draw("x.mp4", 0.1, Calibration(), found, moments)):
        with Image.open(io.BytesIO(png)) as picture:
            assert min(picture.size) > 200
            assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 50


def test_cells_are_means() -> None:
    """A map as a coarse grid keeps its mean; a border that does not divide is cut off."""
    heat = np.random.default_rng(0).random((66, 64)).astype(np.float32)
    coarse = cells(heat, 16)
    assert coarse.shape == (16, 16)
    assert coarse.mean() == pytest.approx(heat[:64].mean(), rel=1e-5)


@pytest.mark.parametrize(("channel", "label"), [(0, Label.SYNTHETIC), (2, Label.REAL)])
def test_occlusion_marks_the_evidence_without_a_layer(spot: Explainable, channel: int, label: Label) -> None:
    """Painting over the square that decides moves the answer, other cells do not; the map stands the deletion test."""
    subject = Explainable(spot.detector)
    media = spotted(channel)
    found = heat_map(subject, media)
    assert found.evidence_for is label
    assert found.heat.shape == (1, 128, 128)
    assert found.heat[0, 16:48, 16:48].min() > 0.9
    assert found.heat[0, 64:, 64:].max() < 0.2
    assert found.log_odds[0] == pytest.approx(heat_map(spot, media).log_odds[0], abs=1e-4)
    test = deletion(subject, media, found, np.random.default_rng(0))
    assert test.faithful
    assert test.gain > 0.1
    other = Label.REAL if label is Label.SYNTHETIC else Label.SYNTHETIC
    assert heat_map(subject, media, other).heat[0, 16:48, 16:48].max() == 0.0


def test_a_stack_is_explained_by_shares_and_occlusion(spot: Explainable) -> None:
    """Each member's part of the answer, and a map of the whole stack's; a probability alone is enough of a member."""
    head = Head(2)
    head.weight.copy_(torch.tensor([0.75, 0.25]))
    assert isinstance(spot.detector, TorchDetector)
    stack = Ensemble("ensemble", {"spot": spot.detector, "random": load_detector("random")}, head)
    media = spotted(0)
    found = account(stack, media)
    assert [share["member"] for share in found["shares"]] == ["spot", "random"]
    assert found["shares"][0]["contribution"] == pytest.approx(0.75 * found["shares"][0]["log_odds"], abs=1e-3)
    assert [line.split(":")[0] for line in lines(found)] == ["share of spot", "share of random"]
    assert explainable(stack) == Explainable(stack)
    alone = Ensemble("ensemble", {"spot": spot.detector, "constant": load_detector("constant")}, head)
    assert heat_map(explainable(alone), media).heat[0, 20:44, 20:44].min() > 0.9
    assert account(spot.detector, media) == {}


@pytest.mark.parametrize("wanted", [0.45, 0.55])
def test_the_map_of_a_stack_speaks_for_its_answer(spot: Explainable, wanted: float) -> None:
    """The stack's calibration counts once: an answer near a half is explained as the answer that it is."""
    assert isinstance(spot.detector, TorchDetector)
    head = Head(2)
    head.weight.copy_(torch.tensor([1.0, 0.0]))
    stack = Ensemble("ensemble", {"spot": spot.detector, "constant": load_detector("constant")}, head)
    media = spotted(0)
    raw = float(stack.logits([media])[0])
    stack.calibration = Calibration(0.25, math.log(wanted / (1 - wanted)) - raw / 0.25)
    (answer,) = stack.predict([media])
    assert answer.p_synthetic == pytest.approx(wanted, abs=1e-4)
    found = heat_map(explainable(stack), media)
    assert found.evidence_for is answer.label
    assert found.log_odds[0] == pytest.approx(raw, abs=1e-4)


def test_look_up_says_which_item_it_is() -> None:
    """A known picture is named with its label and the net that caught it; another is said to be unknown."""
    index = Index(1)
    detector = TorchDetector(
        "retrieval", Modality.IMAGE, index, preprocess=Preprocess((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 128, "centre")
    )
    media = spotted(0)
    fill(index, [entry(media)], [1], ["camera/one"])
    known = account(detector, media)["known"]
    assert (known["name"], known["label"], known["by"]) == ("camera/one", "synthetic", "exact")
    assert lines({"known": known}) == ["known: camera/one, synthetic, by exact (0 bits, 1.000)"]
    rng = np.random.default_rng(0)
    stranger = Media(rng.integers(0, 256, (1, 128, 128, 3), dtype=np.uint8))
    assert account(detector, stranger) == {"known": None}
    assert lines({"known": None}) == ["known: no"]
    assert heat_map(explainable(detector), media).heat.max() <= 1.0
