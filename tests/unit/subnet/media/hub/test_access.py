"""Who we are at the hub, as the hub's own programs find it out."""

from __future__ import annotations

from pathlib import Path

import pytest

from subnet.errors import SettingsError
from subnet.media.hub.access import ENDPOINT, read_access


def test_the_token_of_a_variable_goes_before_files(tmp_path: Path) -> None:
    """HF_TOKEN, the older name, the file of HF_TOKEN_PATH, that of HF_HOME, that of the cache: in this order."""
    home = {"XDG_CACHE_HOME": str(tmp_path)}
    places = {"cache": tmp_path / "huggingface" / "token", "home": tmp_path / "hf" / "token", "path": tmp_path / "t"}
    for name, path in places.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{name}\n")
    steps = [
        ("cache", {}),
        ("home", {"HF_HOME": str(tmp_path / "hf")}),
        ("path", {"HF_TOKEN_PATH": str(places["path"])}),
    ]
    steps += [("old", {"HUGGING_FACE_HUB_TOKEN": "old"}), ("new", {"HF_TOKEN": " new "})]
    variables = dict(home)
    for token, more in steps:
        variables |= more
        assert read_access(variables).token == token
    assert "new" not in repr(read_access(variables))


def test_without_a_token_we_are_strangers(tmp_path: Path) -> None:
    """No file, or one that is not to be used without being asked for."""
    assert read_access({"XDG_CACHE_HOME": str(tmp_path)}).token is None
    (tmp_path / "token").write_text("x")
    assert read_access({"HF_HOME": str(tmp_path), "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}).token is None


def test_the_endpoint_of_a_mirror() -> None:
    """HF_ENDPOINT names another hub; what is no web address is a mistake that names the variable."""
    assert read_access({}).endpoint == ENDPOINT
    assert read_access({"HF_ENDPOINT": "https://mirror.example/hub/"}).endpoint == "https://mirror.example/hub"
    with pytest.raises(SettingsError, match="HF_ENDPOINT"):
        read_access({"HF_ENDPOINT": "mirror.example"})
