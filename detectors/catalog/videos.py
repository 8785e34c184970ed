"""Detectors of clips, one row each."""

from __future__ import annotations

from detectors.rows import IMAGENET_MEAN, IMAGENET_STD, DetectorRow, Preprocess
from subnet.types import Modality

VIDEO_ROWS = (
    DetectorRow("constant-video", Modality.VIDEO, "detectors.baselines:constant", "answers 1 to every video"),
    DetectorRow("random-video", Modality.VIDEO, "detectors.baselines:random", "a number from the frames' hash"),
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
)
