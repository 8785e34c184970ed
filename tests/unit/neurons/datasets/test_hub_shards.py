"""Data sets on the hub, as folders of shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from detectors.dataset.items import read_folder
from detectors.dataset.shard_writing import write_shards
from neurons.datasets.spec import parse_spec
from subnet.errors import SettingsError
from subnet.types import Modality
from tests.unit.detectors.folders import write_images
from tests.unit.subnet.media.hub.hub_server import HubServer, serve

NAME = "someone/fakes"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with one set in shards, of which one is for testing, and one without any."""
    write_images(tmp_path / "loose", 3)
    records = read_folder(tmp_path / "loose")
    (data,) = (path.read_bytes() for path in write_shards(records, tmp_path / "shards"))
    files = {"data/train-00000-of-00001.parquet": data, "data/test-00000.parquet": data, "README.md": b"hello"}
    with serve(HubServer({NAME: files, "someone/texts": {"README.md": b"hello"}})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
        yield hub


def test_a_set_by_name_is_fetched_once(server: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Its shards lie in a folder for each split, are read like any other, and do not come twice."""
    folder = parse_spec(f"hub:{NAME}", Modality.IMAGE, 10, 0)
    assert isinstance(folder, Path)
    assert len(read_folder(folder / "train")) == len(read_folder(folder / "test")) == 6
    assert "fetching 2 shards, 0.0 GB" in capsys.readouterr().err
    asked = server.requests("/resolve/")
    assert parse_spec(f"hub:{NAME}", Modality.IMAGE, 10, 0) == folder
    assert server.requests("/resolve/") == asked


@pytest.mark.parametrize(
    ("text", "what"),
    [("hub:alone", "is called hub:owner/name"), ("hub:someone/texts", "has no shards")],
)
def test_what_is_no_set_of_shards_is_refused(server: HubServer, text: str, what: str) -> None:
    """A name that is none, and a set of other files, are told with what would do."""
    with pytest.raises(SettingsError, match=what):
        parse_spec(text, Modality.IMAGE, 10, 0)
