"""Detectors whose weights are published and do not ship: `assay fetch NAME` brings them. Best published mean first.

What each does with a picture of 256 pixels, the size of a challenge, stands in its summary.
"""

from __future__ import annotations

from detectors.rows import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD, ONE, ZERO, DetectorRow, Origin, Preprocess
from subnet.types import Modality

PUBLISHED_ROWS = (
    DetectorRow(
        name="dda",
        modality=Modality.IMAGE,
        target="detectors.loading:network_detector",
        summary="DINOv2 ViT-L/14 with adapters on VAE twins (NeurIPS 2025); the middle 336 px, 256 px get black around",
        parameters=307_515_393,
        tensors=537,
        licence="Apache-2.0",
        preprocess=Preprocess(CLIP_MEAN, CLIP_STD, 336, "keep", "pillow-bilinear", crop=336),
        layer="vit.blocks.-1.norm1",
        grid="tokens",
        family="dda",
        files=(
            Origin(
                repository="Junwei-Xi/Dual-Data-Alignment",
                revision="4390d9023899196b437480bb6a441915ef5d816c",
                file="DDA_ckpt.pth",
                size=1_255_621_296,
                sha256="b27a31d39374803ddeff02bfabb2be76e190b04300490cddfafb24f683f37e3e",
            ),
        ),
        published="90.7 % mean accuracy over 11 sets by its authors (github.com/roy-ch/Dual-Data-Alignment, README); "
        "its 97.2 % on EvalGEN is disputed (issue 15 there: 94.4 %)",
    ),
    DetectorRow(
        name="community-forensics",
        modality=Modality.IMAGE,
        target="detectors.loading:network_detector",
        summary="ViT-S/16 on fakes of 4,803 generators (CVPR 2025); the short edge to 440 px, the middle 384 of it",
        parameters=21_811_969,
        tensors=152,
        licence="MIT",
        preprocess=Preprocess(IMAGENET_MEAN, IMAGENET_STD, 440, "short-edge", "pillow-bilinear", crop=384),
        layer="vit.blocks.-1.norm1",
        grid="tokens",
        family="community-forensics",
        files=(
            Origin(
                repository="OwensLab/commfor-model-384",
                revision="6076002bf0d9dd37537f965ee2f06f826c333b61",
                file="model.safetensors",
                size=87_262_324,
                sha256="b89f36275f3bf5e2b040eee36597a8f19db051bff9a473a9cf7b2466284fb387",
            ),
        ),
        published="75.0 % mean accuracy over 12 sets, the best of 23 detectors as published (arXiv 2602.07814)",
    ),
    DetectorRow(
        name="omniaid",
        modality=Modality.IMAGE,
        target="detectors.loading:network_detector",
        summary="CLIP ViT-L/14 with routed semantic experts and one for artefacts (ICML 2026); all of it at 336 px",
        parameters=608_460_871,
        tensors=2_516,
        licence="MIT",
        preprocess=Preprocess(CLIP_MEAN, CLIP_STD, 336, "squash", "pillow-bilinear"),
        layer="encoder_layers.-1.layer_norm1",
        grid="tokens",
        family="omniaid",
        files=(
            Origin(
                repository="Yunncheng/OmniAID",
                revision="279cae7398ac6636f46fc4668f755f11210b36bf",
                file="ckpt/checkpoint_omniaid_v2.pth",
                size=3_241_000_000,
            ),
        ),
        published="97.2 % on GenImage and 91.4 % on Chameleon by its authors (arXiv 2511.08423)",
    ),
    DetectorRow(
        name="univfd",
        modality=Modality.IMAGE,
        target="detectors.loading:network_detector",
        summary="one linear layer on CLIP ViT-L/14, frozen (CVPR 2023); the middle 224 px as they are",
        parameters=303_966_977,
        tensors=394,
        licence="MIT",
        preprocess=Preprocess(CLIP_MEAN, CLIP_STD, 224, "keep", "pillow-bilinear", crop=224),
        layer="vision_model.encoder.layers.-1.layer_norm1",
        grid="tokens",
        family="univfd",
        files=(
            Origin(
                repository="openai/clip-vit-large-patch14",
                revision="32bd64288804d66eefd0ccbe215aa642df71cc41",
                file="model.safetensors",
                size=1_710_540_580,
                sha256="a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
            ),
            Origin(
                repository="WisconsinAIVision/UniversalFakeDetect",
                revision="030495aea3300a8b54c0ec37ec7fe1dd7e63c619",
                file="pretrained_weights/fc_weights.pth",
                size=4_083,
                sha256="477100745713bcc957beb2b40859536859b6483fd6301b3b9293151b194c7847",
                host="github",
            ),
        ),
        published="93.4 mean average precision by its authors (arXiv 2302.10174); 56.3 % mean accuracy over 11 sets in "
        "the README of github.com/roy-ch/Dual-Data-Alignment",
    ),
    DetectorRow(
        name="safe",
        modality=Modality.IMAGE,
        target="detectors.loading:network_detector",
        summary="npr's network on a diagonal wavelet band (KDD 2025); the middle 256 px as they are",
        parameters=1_438_274,
        tensors=146,
        licence="Apache-2.0",
        preprocess=Preprocess(ZERO, ONE, 256, "keep", "pillow-bilinear", crop=256),
        layer="layer2.3",
        grid="maps",
        family="safe",
        files=(
            Origin(
                repository="Ouxiang-Li/SAFE",
                revision="4e998724651b227def64f5be0cd60c0aa1552c35",
                file="checkpoint/checkpoint-best.pth",
                size=5_800_000,
                sha256="b3f5ecfb46a154ed553aaaf4bf3ba59182310726ddb0cbb1fe42bd0e22d2f20e",
                host="github",
            ),
        ),
        published="96.3 and 98.9 % accuracy on two sets of GPT-4o by its authors (github.com/Ouxiang-Li/SAFE, README); "
        "47.6 % mean accuracy over 11 sets in the README of github.com/roy-ch/Dual-Data-Alignment",
    ),
)
