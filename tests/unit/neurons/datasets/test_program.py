"""`assay dataset`: writes as ever, checks published sets, and lists them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from detectors.dataset.presets import PRESETS
from neurons.cli import main
from neurons.datasets.preset_page import END, PAGE, START, markdown, written
from tests.unit.detectors.dataset.preset_trees import picture, write_tree


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_writing_still_takes_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`assay dataset OUT` is the default command."""
    assert run("dataset", tmp_path, "--count", 1, "--generator", "ae-nearest", "--device", "cpu") == 0
    assert (Path(capsys.readouterr().out.strip()) / "index.jsonl").is_file()


def test_check_tells_people_and_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts by folder, what cannot be read, what lies elsewhere; status 1 where something is wrong."""
    root = write_tree(PRESETS["stylegan2"], tmp_path / "set")
    assert run("dataset", "check", "stylegan2", root, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["whole"]
    assert [row["files"] for row in found["folders"]] == [2, 2]
    (root / "stylegan2" / "1" / "0_real" / "broken.png").write_bytes(b"no picture")
    picture(root / "notes" / "1.png", 3)
    assert run("dataset", "check", "stylegan2", root) == 1
    told = capsys.readouterr().out
    assert "broken.png" in told
    assert "1 files lie in none" in told
    assert "not whole" in told


def test_another_layout_and_wrong_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of another preset is told which; unknown names and numbers below zero are settings errors."""
    root = write_tree(PRESETS["cifake"], tmp_path)
    assert run("dataset", "check", "aid", root) == 1
    assert "it resembles cifake" in capsys.readouterr().out
    assert run("dataset", "check", "cifak", root) == 2
    assert "did you mean cifake" in capsys.readouterr().err
    assert run("dataset", "check", "cifake", root, "--decode", "-1") == 2


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Names, folders and counts as JSON; a line for each for people."""
    assert run("dataset", "presets", "--json") == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} == set(PRESETS)
    assert run("dataset", "presets") == 0
    assert "140k-real-and-fake-faces" in capsys.readouterr().out


def test_the_page_has_the_table_of_the_rows() -> None:
    """docs/data.md is what `python -m neurons.datasets.preset_page` writes, and a page without marks is refused."""
    page = PAGE.read_text(encoding="utf-8")
    assert markdown() in page
    assert written(page) == page
    for broken in ("nothing", f"{START} only", f"{END} only"):
        with pytest.raises(ValueError, match="needed"):
            written(broken)
