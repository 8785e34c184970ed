"""Families of weights: what judging and training share about a network. Data only: importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from detectors.rows import CLIP_MEAN, CLIP_STD, HALF, IMAGENET_MEAN, IMAGENET_STD, ONE, ZERO, Preprocess
from subnet.registry import find, table
from subnet.types import Modality


@dataclass(frozen=True)
class Family:
    """Weights that fit one network and are used in one way. Targets are "module:name"; "" where there is none.

    `network` is called with the arguments of its size, `small` being the size that is trained by default. `views`
    turns media into its input; `preprocess` is how that input is prepared where the weights are trained here.
    """

    name: str
    modality: Modality
    network: str
    views: str
    preprocess: Preprocess
    small: Mapping[str, Any] = field(default_factory=dict)
    adapt: str = ""  # a checkpoint's keys as in our network, and the arguments of its size; "": there is one layout
    is_backbone: str = ""  # whether a checkpoint holds ImageNet weights of the network's body
    start_from_backbone: str = ""  # fills a network with those
    own: tuple[str, ...] = ()  # keys that a network keeps when it starts from a checkpoint of another size
    judges: bool = True  # whether the network answers, and is not only what others are trained from
    per_method: tuple[str, ...] = ()  # keys of the layer with one output a forgery method; its network takes `methods`


_NPR = Family(
    name="npr",
    modality=Modality.IMAGE,
    network="detectors.npr.network:NPR",
    views="detectors.torch_detector:image_view",
    preprocess=Preprocess(IMAGENET_MEAN, IMAGENET_STD, 256, "centre"),
)
_UCF = Family(
    name="ucf",
    modality=Modality.IMAGE,
    network="detectors.ucf.network:UCF",
    views="detectors.torch_detector:image_view",
    preprocess=Preprocess(HALF, HALF, 256, "centre"),
    small={"width": 0.25, "least": 32},
    adapt="detectors.ucf.layouts:adapt",
    is_backbone="detectors.backbones.xception:is_imagenet",
    start_from_backbone="detectors.ucf.layouts:start",
    per_method=("head_spe.mlp.2.weight", "head_spe.mlp.2.bias"),
)
_PATCHWISE = Family(
    name="patchwise",
    modality=Modality.IMAGE,
    network="detectors.patchwise.network:Patchwise",
    views="detectors.torch_detector:image_view",
    preprocess=Preprocess(HALF, HALF, 256, "centre"),
    small={"patch": 64, "width": 0.25, "least": 32},
    adapt="detectors.patchwise.network:adapt",
    is_backbone="detectors.backbones.xception:is_imagenet",
    start_from_backbone="detectors.patchwise.network:start",
    own=("side",),
)
_SEGMENT = Family(
    name="segment",
    modality=Modality.IMAGE,
    network="detectors.segment.network:Segment",
    views="detectors.torch_detector:image_view",
    preprocess=Preprocess(IMAGENET_MEAN, IMAGENET_STD, 256, "centre"),
    small={"encoder": "resnet10t", "width": 16},
    adapt="detectors.segment.network:adapt",
    is_backbone="detectors.segment.network:is_imagenet",
    start_from_backbone="detectors.segment.network:start",
)
_TALL = Family(
    name="tall",
    modality=Modality.VIDEO,
    network="detectors.tall.network:TALL",
    views="detectors.tall.network:clip_views",
    preprocess=Preprocess(IMAGENET_MEAN, IMAGENET_STD, 112, "tiles"),
    small={"width": 32, "depths": (2, 2, 2, 2), "heads": (1, 2, 4, 8), "drop_path": 0.0},
    adapt="detectors.tall.layouts:adapt",
    is_backbone="detectors.tall.layouts:is_backbone",
    start_from_backbone="detectors.tall.layouts:start",
)
_LSTM = Family(
    name="temporal-lstm",
    modality=Modality.VIDEO,
    network="detectors.temporal.frames_lstm:FramesLSTM",
    views="detectors.temporal.views:eight_views",
    preprocess=Preprocess(IMAGENET_MEAN, IMAGENET_STD, 112, "tiles", clips="middle"),
    small={"width": 64, "dense": 32},
    adapt="detectors.temporal.frames_lstm:adapt",
    is_backbone="detectors.npr.network:is_npr",
    start_from_backbone="detectors.temporal.frames_lstm:start",
)
_INFLATED = replace(
    _LSTM,
    name="temporal-3d",
    network="detectors.temporal.inflated:InflatedNPR",
    small={"blocks": (3, 4)},
    adapt="detectors.temporal.inflated:adapt",
    start_from_backbone="detectors.temporal.inflated:start",
)
_TRAJECTORY = replace(
    _LSTM,
    name="temporal-trajectory",
    network="detectors.temporal.trajectory:Trajectory",
    small={},
    adapt="detectors.temporal.trajectory:adapt",
    start_from_backbone="detectors.temporal.trajectory:start",
)
_ORDER = replace(
    _LSTM,
    name="temporal-order",
    network="detectors.temporal.order:TemporalOrder",
    preprocess=Preprocess(ZERO, ONE, 256, "centre", clips="cover"),
    small={},
    adapt="detectors.temporal.order:adapt",
    is_backbone="",
    start_from_backbone="",
)
_SPECTRAL = Family(
    name="spectral",
    modality=Modality.IMAGE,
    network="detectors.spectral.network:Spectral",
    views="detectors.torch_detector:image_view",
    preprocess=Preprocess(ZERO, ONE, 256, "centre"),
    adapt="detectors.spectral.network:adapt",
)
_RETRIEVAL = replace(
    _SPECTRAL, name="retrieval", network="detectors.retrieval.index:Index", adapt="detectors.retrieval.index:adapt"
)
_VIT_CAM = Family(
    name="vit_cam",
    modality=Modality.IMAGE,
    network="detectors.vit_cam.network:VitCam",
    views="detectors.vit_cam.network:centre_view",
    preprocess=Preprocess(HALF, HALF, 224, "tiles"),
    small={"width": 128, "depth": 4, "stem": (16, 32, 64, 96, 128)},
    adapt="detectors.vit_cam.layouts:adapt",
    is_backbone="detectors.vit_cam.layouts:is_backbone",
    start_from_backbone="detectors.vit_cam.layouts:start",
)
_AUTOENCODER = Family(
    name="autoencoder",
    modality=Modality.IMAGE,
    network="detectors.autoencoder.network:Autoencoder",
    views="detectors.torch_detector:image_view",
    preprocess=Preprocess(ZERO, ONE, 256, "centre"),
    adapt="detectors.autoencoder.layouts:adapt",
)
_RECONSTRUCTION = replace(
    _AUTOENCODER,
    name="autoencoder-reconstruction",
    network="detectors.autoencoder.network:Reconstruction",
    adapt="",
    judges=False,
)
_CLASSIFIER = replace(
    _AUTOENCODER,
    name="autoencoder-softmax",
    network="detectors.autoencoder.network:softmax",
    adapt="",
    is_backbone="detectors.autoencoder.layouts:is_reconstruction",
    start_from_backbone="detectors.autoencoder.layouts:start",
)
_CNN = Family(
    name="cnn-plain",
    modality=Modality.IMAGE,
    network="detectors.cnn_svm.network:plain",
    views="detectors.torch_detector:image_view",
    preprocess=Preprocess(IMAGENET_MEAN, IMAGENET_STD, 256, "centre"),
    adapt="detectors.cnn_svm.layouts:adapt_classifier",
)
_BORROWED = replace(
    _CNN,
    is_backbone="detectors.cnn_svm.layouts:is_backbone",
    start_from_backbone="detectors.cnn_svm.layouts:start",
)
_COMMUNITY_FORENSICS = Family(
    name="community-forensics",
    modality=Modality.IMAGE,
    network="detectors.towers.vit:CommunityForensics",
    views="detectors.torch_detector:image_view",
    preprocess=Preprocess(IMAGENET_MEAN, IMAGENET_STD, 440, "short-edge", "pillow-bilinear", crop=384),
    small={"width": 64, "depth": 2, "side": 64},
    adapt="detectors.towers.vit:adapt_community_forensics",
)
_DDA = replace(
    _COMMUNITY_FORENSICS,
    name="dda",
    network="detectors.towers.vit:DDA",
    preprocess=Preprocess(CLIP_MEAN, CLIP_STD, 336, "keep", "pillow-bilinear", crop=336),
    small={"width": 64, "depth": 2},
    adapt="detectors.towers.vit:adapt_dda",
)
_UNIVFD = replace(
    _COMMUNITY_FORENSICS,
    name="univfd",
    network="detectors.towers.clip:UnivFD",
    preprocess=Preprocess(CLIP_MEAN, CLIP_STD, 224, "keep", "pillow-bilinear", crop=224),
    small={"width": 64, "hidden": 128, "depth": 2, "embedding": 32},
    adapt="detectors.towers.clip:adapt",
)
_OMNIAID = replace(
    _COMMUNITY_FORENSICS,
    name="omniaid",
    network="detectors.towers.omniaid:OmniAID",
    preprocess=Preprocess(CLIP_MEAN, CLIP_STD, 336, "squash", "pillow-bilinear"),
    small={"width": 64, "hidden": 96, "depth": 2, "routing": 16},
    adapt="detectors.towers.omniaid:adapt",
)
_SAFE = replace(
    _COMMUNITY_FORENSICS,
    name="safe",
    network="detectors.npr.safe:SAFE",
    preprocess=Preprocess(ZERO, ONE, 256, "keep", "pillow-bilinear", crop=256),
    small={},
    adapt="",
)
_TOWER = Family(  # `tower` names the tower, which prepares pixels as it asks
    name="tower",
    modality=Modality.IMAGE,
    network="detectors.towers.adapters:frozen",
    views="detectors.torch_detector:image_view",
    preprocess=Preprocess(ZERO, ONE, 256, "centre"),
)

FAMILIES: dict[str, Family] = table(
    (
        _NPR,
        replace(_NPR, name="frames", modality=Modality.VIDEO, views="detectors.npr.frames:frame_views"),
        replace(_NPR, name="npr-adversarial"),
        replace(_NPR, name="camo"),  # its general expert; the others are of the families that camo.toml names
        _UCF,
        replace(_UCF, name="ucf-plain"),  # its judging half, trained as a plain classifier
        _PATCHWISE,
        _SEGMENT,
        _TALL,
        _SPECTRAL,
        _RETRIEVAL,
        replace(_SPECTRAL, name="ensemble", network="detectors.heads.head:Head", small={"features": 2}, adapt=""),
        replace(_TALL, name="tall-stills", modality=Modality.IMAGE, views="detectors.tall.network:still_views"),
        _LSTM,
        _INFLATED,
        _TRAJECTORY,
        replace(_TRAJECTORY, name="temporal-d3", small={"wanted": "d3"}),  # D3 alone: a scale and a threshold
        _ORDER,
        _VIT_CAM,
        _AUTOENCODER,
        _RECONSTRUCTION,
        replace(_RECONSTRUCTION, name="autoencoder-denoising"),
        _CLASSIFIER,
        replace(_CLASSIFIER, name="autoencoder-sigmoid", network="detectors.autoencoder.network:sigmoid"),
        _CNN,
        replace(_CNN, name="cnn-residual", network="detectors.cnn_svm.network:residual"),
        replace(_CNN, name="cnn-separable", network="detectors.cnn_svm.network:separable"),
        replace(
            _BORROWED,
            name="cnn-densenet",
            network="detectors.cnn_svm.network:densenet",
            small={"growth": 12, "blocks": (2, 3, 4, 3)},
        ),
        replace(_BORROWED, name="cnn-vgg16", network="detectors.cnn_svm.network:vgg16", small={"width": 0.125}),
        _COMMUNITY_FORENSICS,
        _DDA,
        _UNIVFD,
        _OMNIAID,
        _SAFE,
        _TOWER,
        replace(
            _TOWER,
            name="tower-adapters",
            network="detectors.towers.adapters:Adapted",
            is_backbone="detectors.towers.adapters:is_head",
            start_from_backbone="detectors.towers.adapters:start",
        ),
        replace(
            _CNN, name="cnn_svm", network="detectors.cnn_svm.network:CnnSvm", adapt="detectors.cnn_svm.layouts:adapt"
        ),
    )
)


def family(name: str) -> Family:
    """Raises UnknownName with the nearest names."""
    return find(FAMILIES, name, "family of weights")


def network_size(chosen: Family, origins: int, size: str = "small") -> dict[str, Any]:
    """Arguments of the family's network, "small" or "published", for data with this many origins of fakes."""
    sizes = chosen.small if size == "small" else {}
    return {**sizes, **({"methods": origins + 1} if chosen.per_method else {})}
