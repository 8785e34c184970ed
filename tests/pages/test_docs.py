"""The pages against the code: links lead somewhere, commands parse, the worked example prints what stands there."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shlex
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from detectors.studies import STUDIES, StudyRow
from detectors.studies.report import Claim
from neurons.cli import COMMANDS, build
from tests.places import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docker").glob("*.md")])
SAMPLES = {"N": "34", "IP": "203.0.113.7", "W": "cold", "H": "hot", "HOTKEY": "hot"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(text: str) -> list[str]:
    """Every `assay ...` in blocks of shell and in code spans; spans that only name a command are left out."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`(assay [^`]+)`", text)
    return [line for line in lines + spans if line.startswith("assay ")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file of the repository: a folder could not be opened on the site."""
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).is_file()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_true(page: Path, tmp_path: Path) -> None:
    """Every command on a page is one that there is, with flags that it has; complete ones parse."""
    config = tmp_path / "miner.toml"
    config.write_text("[miner]\nnetuid = 34\n")
    app = build()
    for line in commands(page.read_text()):
        words = [SAMPLES.get(word, word) for word in shlex.split(line)[1:]]
        if words[0] == "--help":
            continue
        assert words[0] in COMMANDS, line
        if "--config" in words:
            continue
        try:
            app.parse_args(words, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            if "requires an argument" not in str(error):
                pytest.fail(f"{line}: {error}")


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda row: row.name)
def test_commands_of_claims_are_whole(study: StudyRow) -> None:
    """What a study did not repeat it names with commands that parse as they stand, and no number left to work out."""
    claims: tuple[Claim, ...] = importlib.import_module(study.target.partition(":")[0]).CLAIMS
    app = build()
    assert claims
    for claim in claims:
        text = re.sub(r"\$p\b", "64", claim.command)
        lines = [part.strip() for part in re.split(r"&&|;|\bdo\b|#", text)]
        found = [line for line in lines if line.startswith("assay ")]
        assert found, claim
        for line in found:
            assert not re.search(r"\bDIR\b|[*/]ITEMS|<|\bN\b", line), line
            app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)


def test_config_file_of_the_page_on_mining(tmp_path: Path) -> None:
    """The TOML there is accepted by --config: every key is a flag of the miner."""
    text = (ROOT / "docs/mining.md").read_text()
    (found,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "miner.toml"
    path.write_text(found)
    from cyclopts.config import Toml

    app = build()
    app.config = (Toml(path, must_exist=True),)
    _, bound, *_ = app.parse_args(["miner"], exit_on_error=False, print_error=False)
    assert bound.arguments["netuid"] == 34
    assert bound.arguments["axon"].external_ip == "203.0.113.7"


def test_plan_of_the_page_on_validating(tmp_path: Path) -> None:
    """The plan there is one, and each origin in it is a source or a generator of that modality and label."""
    from generators import TABLE
    from subnet.media.hub.catalog import SOURCES
    from subnet.media.pool.producer import read_plan

    text = (ROOT / "docs/validating.md").read_text()
    (found,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "plan.toml"
    path.write_text(found)
    for target in read_plan(path).targets:
        cell = target.cell
        row = SOURCES[cell.origin] if cell.label == 0 else TABLE[cell.origin]
        assert row.modality is cell.modality


def test_worked_example_prints_what_stands_there() -> None:
    """docs/incentive.md: the program's output is the block below it, and the two numbers above it are right."""
    text = (ROOT / "docs/incentive.md").read_text()
    example = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", text, re.DOTALL)
    assert example is not None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example[1], "docs/incentive.md", "exec"), {})
    assert printed.getvalue() == example[2]
    from subnet.game.history import Window
    from subnet.game.scoring import mcc, modality_reward
    from subnet.types import Label

    window = Window()
    for number in range(50):
        window = window.push(Label.SYNTHETIC, number >= 5)
    for number in range(50):
        window = window.push(Label.REAL, 8 <= number < 48)
    assert f"= {mcc(window):.4f}\n" in text
    assert f"= {modality_reward(window):.4f}\n" in text


def test_claims_about_security_are_tested() -> None:
    """Each claim of docs/security.md, but those called open, names tests that exist where its links lead."""
    page = ROOT / "docs" / "security.md"
    text = page.read_text(encoding="utf-8")
    claims, _, _ = text.partition("## Open")
    tests = re.compile(r"\[`(test_\w+\.py)::(test_\w+)`\]\(([^)]+)\)")
    bare = [item.split("\n")[0] for item in re.split(r"\n(?=- )", claims)[1:] if not tests.search(item)]
    assert bare == []
    missing = []
    for file, test, link in tests.findall(text):
        path = page.parent / link
        source = path.read_text(encoding="utf-8") if path.is_file() else ""
        if path.name != file or not re.search(rf"^(async )?def {test}\(", source, re.MULTILINE):
            missing.append(f"{link}::{test}")
    assert missing == []
    assert len(claims.split("## ")) == 7  # without a key, with a hotkey, a permit, a gateway's key, a form, the machine
