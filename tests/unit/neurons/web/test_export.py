"""`assay web export`: files that open from a disk; and what the command refuses."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from neurons.web.export import UNFINISHED
from neurons.web.pages import as_json
from neurons.web.site import Site
from tests.unit.neurons.commands.evidence.rig import Story
from tests.unit.neurons.running import Assay
from tests.unit.neurons.web.links import broken


def test_every_link_leads_to_a_file(assay: Assay, story: Story, site: Site, tmp_path: Path) -> None:
    """From every page, by relative ways; beside each page is its JSON, the same that a server gives."""
    done = assay("web", "export", tmp_path / "out", story.journal)
    assert done.status == 0, done.err
    pages = sorted((tmp_path / "out").rglob("*.html"))
    assert f"{len(pages)} pages written" in done.out
    assert broken(tmp_path / "out") == []
    for page in pages:
        address = str(page.relative_to(tmp_path / "out").with_suffix(""))
        told = json.loads(page.with_suffix(".json").read_text())
        if address != "health":  # it says when it looked
            assert told == json.loads(as_json(site.page(address)))
    assert {page.relative_to(tmp_path / "out").parts[0] for page in pages} == {
        "1",
        "index.html",
        "incentive.html",
        "health.html",
    }


def test_several_journals_and_few_rounds(assay: Assay, story: Story, tmp_path: Path) -> None:
    """Each has its number; nobody agrees with itself; only the newest rounds have pages, and all links hold."""
    done = assay("web", "export", tmp_path / "out", story.journal, story.journal.parent, "--rounds", 2)
    assert done.status == 0, done.err
    rows = json.loads((tmp_path / "out" / "index.json").read_text())["validators"]
    assert [(row["journal"], row["agreement"]) for row in rows] == [(1, None), (2, None)]
    assert sorted(p.name for p in (tmp_path / "out" / "2" / "round").glob("*.html")) == ["14.html", "15.html"]
    assert broken(tmp_path / "out") == []


@pytest.mark.parametrize("rounds", [0, 1, 16])
def test_miners_have_their_answers_however_few_rounds_have_pages(
    assay: Assay, story: Story, site: Site, tmp_path: Path, rounds: int
) -> None:
    """The same ones as on a site; links only to rounds that have a page, and the list says how many have none."""
    assert assay("web", "export", tmp_path / "out", story.journal, "--rounds", rounds).status == 0
    for path in (tmp_path / "out" / "1" / "miner").glob("*.json"):
        told = json.loads(path.read_text())
        whole = site.page(f"1/miner/{told['hotkey']}").facts
        assert [turn["number"] for turn in told["turns"]] == [turn["number"] for turn in whole["turns"]] != []
        assert [turn["has_page"] for turn in told["turns"]] == [
            turn["number"] >= 16 - rounds for turn in whole["turns"]
        ]
    listed = json.loads((tmp_path / "out" / "1" / "rounds.json").read_text())
    assert (len(listed["list"]), listed["older_without"]) == (rounds, 16 - rounds)
    text = (tmp_path / "out" / "1" / "rounds.html").read_text()
    assert "None may be shown yet" not in text
    assert ("have none" in text) == (rounds < 16)
    assert broken(tmp_path / "out") == []


def test_what_is_wrong_is_said_before_anything_is_written(assay: Assay, story: Story, tmp_path: Path) -> None:
    """A folder with something in it, a journal that is not there, a damaged one, none at all, a port that is none."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("precious")
    done = assay("web", "export", tmp_path / "full", story.journal)
    assert (done.status, "not empty" in done.message) == (2, True)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]
    done = assay("web", "export", tmp_path / "out", tmp_path / "absent.db")
    assert (done.status, "JOURNAL" in done.message) == (2, True)
    (tmp_path / "damaged.db").write_bytes(b"x" * 5000)
    done = assay("web", "export", tmp_path / "out", tmp_path / "damaged.db")
    assert (done.status, "journal 1 cannot be shown" in done.message) == (1, True)
    assert not (tmp_path / "out").exists()
    for words, told in (
        ((), "JOURNAL"),
        ((story.journal, "--port", "70000"), "--port"),
        ((story.journal, "--refresh", "0"), "--refresh"),
        (("export", tmp_path / "out", story.journal, "--rounds", "-1"), "--rounds"),
    ):
        done = assay("web", *words)
        assert (done.status, told in done.message) == (2, True), done.err


KILLED = """
import os, signal, neurons.web.site
from neurons.__main__ import start
page = neurons.web.site.Site.page
def dies(site, address):
    return page(site, address) if "/round/" not in address else os.kill(os.getpid(), signal.SIGKILL)
neurons.web.site.Site.page = dies
start()
"""


@pytest.mark.parametrize("empty", [False, True])
def test_a_site_is_there_as_a_whole_or_not_at_all(assay: Assay, story: Story, tmp_path: Path, empty: bool) -> None:
    """On a disk that fills up, and of a run that is killed, no page is left; another run writes them all."""
    out = tmp_path / "out"
    if empty:
        out.mkdir()
    words = [sys.executable, "-m", "neurons", "web", "export", str(out), str(story.journal)]

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(words, preexec_fn=full, capture_output=True, text=True, check=False)
    assert (done.returncode, "cannot be written: File too large" in done.stderr) == (3, True), done.stderr
    assert list(out.iterdir()) == []
    killed = subprocess.run([sys.executable, "-c", KILLED, *words[3:]], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (out / UNFINISHED / "index.html").exists()
    assert [path.name for path in out.iterdir()] == [UNFINISHED]
    assert assay("web", "export", out, story.journal).status == 0
    assert broken(out) == []
    assert not (out / UNFINISHED).exists()
