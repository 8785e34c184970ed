"""Files for a forge, editors and hooks against what `make` does: one truth for the checks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.places import ROOT

MAKE = (ROOT / "Makefile").read_text()
YAML = sorted([*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml", ROOT / "mkdocs.yml"])


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", YAML, ids=lambda path: str(path.relative_to(ROOT)))
def test_yaml_reads(path: Path) -> None:
    """Every YAML file is a mapping."""
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_hooks_run_what_make_lint_runs() -> None:
    """The same programs with the same words out of the same .venv: versions cannot drift."""
    target = MAKE.partition("\nlint:")[2].partition("\n\n")[0]
    lint = {tuple(words.split()) for words in re.findall(r"^\t\$\(BIN\)/(.+)$", target, re.MULTILINE)}
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    hooks = {
        tuple(word.removeprefix(".venv/bin/") for word in hook["entry"].split() if word != "--force-exclude")
        for hook in repository["hooks"]
    }
    whole = {tuple(word for word in words if word != ".") for words in lint}
    assert hooks == whole
    assert all(hook["entry"].startswith(".venv/bin/") and hook["language"] == "system" for hook in repository["hooks"])


def test_the_workflow_runs_make_test() -> None:
    """Pushes and pull requests run `make test` on the oldest Python that is supported, with read rights only."""
    workflow = read(".github/workflows/test.yml")
    steps = workflow["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["make test"]
    (python,) = (step["with"] for step in steps if step.get("uses", "").startswith("actions/setup-python@"))
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert oldest is not None
    assert python["python-version"] == oldest[1]
    assert workflow["permissions"] == {"contents": "read"}
    assert all((ROOT / name).exists() for name in python["cache-dependency-path"].split())


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda path: path.stem
)
def test_issue_forms_are_complete(path: Path) -> None:
    """A form has a name, a description and fields with ids of their own and labels."""
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 0
    assert all(field["attributes"]["label"] for field in fields)


def test_every_make_target_that_pages_name_is_one() -> None:
    """`make X` on a page, in a template or a workflow is a target of the Makefile."""
    targets = set(re.findall(r"^(\w+):", MAKE, re.MULTILINE))
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.*")]
    named = {(name, page.name) for page in pages for name in re.findall(r"`make (\w+)", page.read_text())}
    assert {pair for pair in named if pair[0] not in targets} == set()


def test_make_bench_runs_what_needs_no_word() -> None:
    """A benchmark that cannot start without being told of something is not among those that run one after another."""
    (left_out,) = re.findall(r"filter-out (.+?),", MAKE)
    (told,) = re.findall(r"^TOLD = (.+)$", MAKE, re.MULTILINE)
    needy = re.compile(r"""add_argument\("[a-z](?!.*nargs="[*?]")""")
    wanting = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if needy.search(path.read_text())}
    assert wanting <= {*left_out.split(), *told.split()}
    assert set(told.split()) <= wanting


def test_every_page_is_in_the_navigation() -> None:
    """Pages of docs/ and those beside the README are all found by a reader of the site."""
    text = (ROOT / "mkdocs.yml").read_text()
    pages = {path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]}
    assert {
        str(page) for page in pages if not re.search(rf"^ .*: {re.escape(str(page))}$", text, re.MULTILINE)
    } == set()


def test_the_site_has_every_page_and_what_it_links_to(tmp_path: Path) -> None:
    """Pages, pictures and linked source files are gathered; no relative link of a gathered page leads out of them."""
    home = dict(os.environ, PYTHONPATH=str(ROOT))
    subprocess.run([sys.executable, ROOT / "docs/gather.py", tmp_path], check=True, env=home)
    pages = list(tmp_path.rglob("*.md"))
    assert len(pages) >= len([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    for page in pages:
        links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        assert [link for link in links if "://" not in link and not (page.parent / link).is_file()] == [], page
    assert (tmp_path / "docs/pictures/scores.png").exists()
    assert (tmp_path / "subnet/game/step.py").exists()
