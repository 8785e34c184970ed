"""The studies of hand-made features and of look-up, run whole on a few photographs."""

from __future__ import annotations

import json

import pytest

from detectors.dataset.items import read_folder
from detectors.retrieval.index import Match
from detectors.spectral.network import FEATURES
from detectors.studies.report import StudySettings, write_study
from detectors.studies.retrieval import Answer, hits
from detectors.studies.retrieval import study as retrieval
from detectors.studies.spectral import study as spectral
from subnet.types import Label
from tests.unit.detectors.folders import write_images


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> StudySettings:
    root = tmp_path_factory.mktemp("study")
    folders = (
        write_images(root / split, count, split) for split, count in (("train", 4), ("validation", 3), ("test", 2))
    )
    return StudySettings(*folders, root / "out", quick=True)


@pytest.mark.slow
def test_every_family_is_measured_alone_and_all_together(settings: StudySettings) -> None:
    """Tables with a row for each family and for all, pictures of spectra, and a page."""
    stages = []
    watched = StudySettings(**{**vars(settings), "stage": lambda what, done, total: stages.append(what)})
    report = spectral(watched)
    assert list(report.tables["ablation"].rows) == [*FEATURES, "all", "always synthetic"]
    assert "Not above always synthetic in AUC and balanced accuracy: " in report.tables["ablation"].note
    assert set(report.pictures) == {"ablation", "radial", "spectra"}
    assert all(picture.png.startswith(b"\x89PNG") for picture in report.pictures.values())
    assert dict.fromkeys(stages).keys() == {"features of train", "features of validation", "fit", "evaluate"}
    written = json.loads((write_study(report, settings.out).parent / "report.json").read_text())
    assert written["tables"]["ablation"]["rows"]["radial"]["features"] == FEATURES["radial"].size


def test_known_pictures_are_found_and_unknown_ones_are_not(settings: StudySettings) -> None:
    """At level 0 nearly all that is known is found, with its content; nothing that is not is taken for it."""
    rows = retrieval(settings).tables["hits"].rows
    known, unknown = rows["known, level 0"], rows["unknown, level 0"]
    assert known[0]["value"] > 0.8  # type: ignore[index,call-overload]
    assert known[4] == 1.0
    assert unknown[0]["value"] == 0.0  # type: ignore[index,call-overload]
    assert unknown[4:] == (None, None)


def test_shares_are_of_what_they_say(settings: StudySettings) -> None:
    """Half of two items found, one of them by its hash, with the right content and the wrong label."""
    real, fake = read_folder(settings.train)[:2]
    match = Match(f"embedded/{real.item}", Label.SYNTHETIC, "hash", 3, 0.9, 0.1, 1.0)
    row = hits({"known": [Answer(real, 1, match), Answer(fake, 1, None)]}).rows["known, level 1"]
    assert row[0]["value"] == 0.5  # type: ignore[index,call-overload]
    assert row[1:] == (0.0, 0.5, 0.0, 1.0, 0.0)
