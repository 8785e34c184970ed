"""The control that takes the size of a file for an answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.dataset.cuts import challenge_media, key_of
from detectors.dataset.items import DatasetItem
from detectors.evaluation.answering import View, encoded_size, show
from detectors.evaluation.encoded_size import encoded_size_control, findings, sizes
from detectors.evaluation.evaluation import Task, items
from detectors.evaluation.summary import answers
from subnet.codec import image as codec
from subnet.game import variant
from subnet.types import Label, Media, Modality
from tests.unit.detectors.folders import photos, write_images


def test_it_is_the_file_that_detectors_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are counted of the very file whose decoded pixels `show` gives, at every level."""
    ((_, media),) = photos(1)
    for level in range(4):
        sent: list[bytes] = []
        plain = variant.render
        with monkeypatch.context() as patch:
            patch.setattr(
                variant, "render", lambda *given, plain=plain, sent=sent: sent.append(plain(*given)) or sent[0]
            )
            shown = show(media, "key", View(level), 7)
        assert encoded_size(media, "key", View(level), 7) == len(sent[0])
        assert np.array_equal(codec.decode_image(sent[0]).frames, shown.frames)


def test_larger_or_smaller_whichever_does_better() -> None:
    """Fakes in small files: everything is told by smallness; a fake source that is larger is told the wrong way round."""
    made = [DatasetItem(Path(f"{n}.png"), Label(n % 2), Modality.IMAGE, ("photo", "small")[n % 2]) for n in range(40)]
    made += [DatasetItem(Path(f"{n}.png"), Label.SYNTHETIC, Modality.IMAGE, "large") for n in range(40, 44)]
    found = [[900.0 + n, 500.0] if each.label is Label.REAL else [100.0 + n, 500.0] for n, each in enumerate(made[:40])]
    found += [[5000.0, 500.0]] * 4
    given = findings(answers(made, (0, 3), np.array(found)))
    assert given["by_generator"]["small"]["auc"]["value"] > 0.7
    assert given["by_level"]["0"]["auc"]["value"] == pytest.approx(20 / 24)
    assert given["by_level"]["3"]["auc"]["value"] == 0.5
    assert given["by_generator"]["large"]["auc"]["value"] < 0.5


def test_a_folder_is_measured(tmp_path: Path) -> None:
    """Blurred twins make smaller files than their photographs, each item in every view; progress counts views."""
    task = Task("blurred", write_images(tmp_path / "set", 3), (0, 2))
    records, told = items(task, Modality.IMAGE), []
    found = encoded_size_control(task, records, told.append)
    assert told == [2, 4, 6, 8, 10, 12]
    assert found["detector"] == "encoded size"
    assert found["auc"]["value"] > 0.6
    table = sizes(task, records)
    first = records[0]
    key = key_of(first, task.root)
    media: Media = challenge_media(first, key, task.seed)
    assert table[0].tolist() == [encoded_size(media, key, view, task.seed) for view in task.views]
