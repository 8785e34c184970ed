"""The studies: each trains and measures one family of detectors, and tells it in tables and pictures."""

from __future__ import annotations

from dataclasses import dataclass

from subnet.registry import table


@dataclass(frozen=True)
class StudyRow:
    """A study: `target` is "module:function", from `StudySettings` to a `StudyReport`; `detector` is what it trains."""

    name: str
    target: str
    detector: str
    summary: str


STUDIES: dict[str, StudyRow] = table(
    (
        StudyRow(
            name="patchwise",
            target="detectors.studies.patchwise.study:study",
            detector="patchwise",
            summary="how small may a piece of a picture be, and how are the verdicts on pieces joined",
        ),
        StudyRow(
            name="segment",
            target="detectors.studies.segment:study",
            detector="segment",
            summary="which pixels are synthetic, in composites whose masks are known",
        ),
        StudyRow(
            "spectral",
            "detectors.studies.spectral:study",
            "spectral",
            "ten families of hand-made features, each alone and all together; mean spectra",
        ),
        StudyRow(
            "retrieval",
            "detectors.studies.retrieval:study",
            "retrieval",
            "which known pictures are found again after levels 0-3, and how often unknown ones are taken for them",
        ),
        StudyRow(
            name="aerial",
            target="detectors.studies.aerial:study",
            detector="vit_cam",
            summary="a vision transformer on aerial images: errors of both kinds, and activation maps that are tested",
        ),
        StudyRow(
            "autoencoder",
            "detectors.studies.autoencoder:study",
            "autoencoder",
            "an autoencoder, then a regularised head on its latent",
        ),
        StudyRow(
            "cnn-svm",
            "detectors.studies.cnn_svm:study",
            "cnn_svm",
            "networks alone and below a support vector machine on principal components",
        ),
    )
)
