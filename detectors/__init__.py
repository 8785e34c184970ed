"""Everything that judges media, and its table: detectors by name, one row each.

Nothing is imported before `load_detector` resolves a row's target.

>>> from detectors import load_detector
>>> load_detector("npr").predict([media])
"""

from __future__ import annotations

from pathlib import Path

from detectors.rows import HALF, IMAGENET_MEAN, IMAGENET_STD, DetectorRow, Preprocess
from subnet.protocols import Detector
from subnet.registry import find, resolve, table
from subnet.types import Modality

__all__ = ["TABLE", "load_detector"]

TABLE: dict[str, DetectorRow] = table(
    (
        DetectorRow("constant", Modality.IMAGE, "detectors.baselines:constant", "answers 1 to everything"),
        DetectorRow("random", Modality.IMAGE, "detectors.baselines:random", "a number from the pixels' hash"),
        DetectorRow("constant-video", Modality.VIDEO, "detectors.baselines:constant", "answers 1 to every video"),
        DetectorRow("random-video", Modality.VIDEO, "detectors.baselines:random", "a number from the frames' hash"),
        DetectorRow(
            name="npr",
            modality=Modality.IMAGE,
            target="detectors.loading:network_detector",
            summary="neighbouring-pixel residual, ResNet-50 cut after layer 2 (CVPR 2024)",
            parameters=1_437_761,
            tensors=146,
            embedded_parameters=1_437_761,
            weights="npr.safetensors",
            sha256="92030013cbee7272f5f0d187156faf06c369a1cd66a253720fad2402a127faf7",
            self_test=-13.915,
            preprocess=Preprocess(IMAGENET_MEAN, IMAGENET_STD, 256, "squash"),
            layer="layer2.3",
            grid="maps",
            family="npr",
            trainable=True,
        ),
        DetectorRow(
            name="npr-weak",
            modality=Modality.IMAGE,
            target="detectors.loading:network_detector",
            summary="the same network, stopped after the first part of npr's run",
            parameters=1_437_761,
            tensors=146,
            embedded_parameters=1_437_761,
            weights="npr-weak.safetensors",
            sha256="fad7df1335a8962357f24f2d3ad6d02d2ec589a322d19f6729ef3d97bac6d9d9",
            self_test=-6.447,
            preprocess=Preprocess(IMAGENET_MEAN, IMAGENET_STD, 256, "squash"),
            layer="layer2.3",
            grid="maps",
            family="npr",
        ),
        DetectorRow(
            name="frames",
            modality=Modality.VIDEO,
            target="detectors.loading:network_detector",
            summary="npr on eight frames of a clip, log-odds averaged",
            parameters=1_437_761,
            tensors=146,
            embedded_parameters=1_437_761,
            weights="npr.safetensors",
            sha256="92030013cbee7272f5f0d187156faf06c369a1cd66a253720fad2402a127faf7",
            self_test=-11.587,
            preprocess=Preprocess(IMAGENET_MEAN, IMAGENET_STD, 256, "squash"),
            layer="layer2.3",
            grid="maps",
            family="frames",
            trainable=True,
        ),
        DetectorRow(
            name="ucf",
            modality=Modality.IMAGE,
            target="detectors.loading:network_detector",
            summary="two Xception encoders, forgery apart from content; one of them at inference (ICCV 2023)",
            parameters=46_838_430,
            tensors=600,
            embedded_parameters=3_091_053,
            weights="ucf.safetensors",
            sha256="432ff61c0f15f7c601e2ebf2e64245eddca6e2ed38475811ae4928c1e92c307b",
            self_test=-5.531,
            preprocess=Preprocess(HALF, HALF, 256, "squash"),
            layer="block_sha",
            grid="maps",
            family="ucf",
            trainable=True,
        ),
        DetectorRow(
            name="tall",
            modality=Modality.VIDEO,
            target="detectors.loading:network_detector",
            summary="four frames as one 2x2 picture for a Swin transformer (ICCV 2023)",
            parameters=86_920_506,
            tensors=356,
            embedded_parameters=2_290_960,
            weights="tall.safetensors",
            sha256="a2ff7711db292b90edb9aad1ec5f4f70e54dea0cde07095e8a6dbaa3aa7788b4",
            self_test=-6.541,
            preprocess=Preprocess(IMAGENET_MEAN, IMAGENET_STD, 256, "squash"),
            layer="norm",
            grid="tokens",
            family="tall",
            trainable=True,
        ),
        DetectorRow(
            name="camo",
            modality=Modality.IMAGE,
            target="detectors.camo.mixture:camo",
            summary="content gates route faces and other content to experts; the general expert always runs",
            embedded_parameters=7_404_336,
            weights="camo.safetensors",
            sha256="140bbf7b18f5959083841993f81c5952c5eb0afc72cf330ba42e0c14ea6e849f",
            self_test=-8.644,
            layer="layer2.3",
            grid="maps",
            family="camo",
            trainable=True,
        ),
    )
)


def load_detector(name: str, *, device: str = "cpu", weights: Path | str | None = None) -> Detector:
    """The detector called `name`, with the weights that ship here or those of `weights`.

    `weights` is a file, `PUBLIC=FILE` with a name of `detectors.public_checkpoints.PUBLIC`, or a pinned hub address
    (`detectors.checkpoints.locate`). Raises UnknownName, CheckpointError, or SettingsError for a missing device.
    """
    row = find(TABLE, name, "detector")
    detector: Detector = resolve(row.target)(row, device=device, weights=weights)
    return detector
