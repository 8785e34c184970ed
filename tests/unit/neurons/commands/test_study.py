"""`assay study`: what is refused before anything is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neurons.commands.study import study
from subnet.errors import SettingsError


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    """Neither photographs nor another study's report are written among; an interrupted run's folder is gone on with."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_bytes(b"mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "report.json").write_text(json.dumps({"study": "patchwise"}))
    (tmp_path / "file").write_text("")
    for name, told in (("mine", "photo.jpg, which is none"), ("other", "report.json, which is"), ("file", "is a file")):
        with pytest.raises(SettingsError, match=told):
            study("aerial", out=tmp_path / name)
    (tmp_path / "begun" / "weights").mkdir(parents=True)
    (tmp_path / "begun" / "vit_cam.state.safetensors").write_bytes(b"")
    with pytest.raises(SettingsError, match=r"--data .*without train, validation, test"):
        study("aerial", out=tmp_path / "begun", data=str(tmp_path / "mine"))
