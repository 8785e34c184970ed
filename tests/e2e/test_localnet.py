"""The whole game in real processes; by the slow tests a second time with one seed, and a miner killed half way.

That one seed asks the same, and that nobody's score depends on others, the fast tests of the loop and of scoring hold.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from subnet.chain.weights import normalise_u16
from subnet.evidence.findings import Verdict
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import ROUND, RoundRecord
from subnet.evidence.replay import Replayer, replay
from tests.places import ROOT
from tests.unit.neurons.web.links import broken

ROUNDS = 14
FIELDS = {
    *("uid", "hotkey", "detector", "asked", "answered", "failures", "accuracy", "mcc", "score"),
    *("weight_sent", "weight_on_chain", "incentive"),
}

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("localnet")]

Run = tuple[Path, dict[str, Any]]


def play(out: Path, *arguments: str, seen: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The summary of a run. With `--web`, `seen` takes what the scoreboard said meanwhile."""
    command = [sys.executable, "-m", "neurons", "localnet", "--rounds", str(ROUNDS), "--seed", "7", "--json"]
    said = out.with_suffix(".err")
    with said.open("w") as errors:
        process = subprocess.Popen(
            [*command, "--out", str(out), *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=dict(os.environ),
        )
        with process:
            while seen is not None and process.poll() is None:
                look(said.read_text(), seen)
                time.sleep(0.25)
            printed = process.communicate()[0]
    assert process.returncode == 0, said.read_text()[-3000:]
    assert re.search(r"the chain, with subnet 34: ws://127\.0\.0\.1:\d+\n", said.read_text())
    heads = re.search(r"^ validator +stake +rounds +weights set +refused .* dividends *$", said.read_text(), re.M)
    assert heads, "on a line of its own, and whole"
    summary: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return summary


def look(said: str, seen: list[dict[str, Any]]) -> None:
    """What the scoreboard says now, where the address was printed and the journal is there."""
    address = re.search(r"the game as pages: (http://\S+)", said)
    if address:
        with (
            contextlib.suppress(OSError),  # 503 before the journal is there, and nobody once the game is over
            urllib.request.urlopen(f"{address[1]}1/scoreboard.json", timeout=5) as response,
        ):
            seen.append(json.loads(response.read()))


@pytest.fixture(scope="module")
def seen() -> list[dict[str, Any]]:
    """What `assay localnet --web` showed while rounds were played."""
    return []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, seen: list[dict[str, Any]]) -> Run:
    """Its folder and its summary."""
    folder = tmp_path_factory.mktemp("localnet") / "one"
    return folder, play(folder, "--web", seen=seen)


@pytest.fixture(scope="module")
def bereft(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The summary of the same run without one of its miners."""
    return play(tmp_path_factory.mktemp("localnet") / "two", "--kill", "random")


def by_name(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in summary["miners"]}


def test_the_summary_has_what_was_promised(run: Run) -> None:
    """Rounds, challenges by modality and label, and a full row for each of at least six miners."""
    _, summary = run
    assert summary["rounds"] == ROUNDS
    assert summary["void_rounds"] == 0
    assert sum(summary["challenges"]["modality"].values()) == ROUNDS
    assert sum(summary["challenges"]["label"].values()) == ROUNDS
    assert len(summary["miners"]) >= 6
    assert all(row.keys() >= FIELDS and row["asked"] == ROUNDS for row in summary["miners"])


def test_the_page_names_all_that_is_left_behind(run: Run) -> None:
    """Every file and folder of the report, and none that no run leaves."""
    folder, _ = run
    page = (ROOT / "docs" / "localnet.md").read_text().partition("runs/localnet-DATE/\n")[2].partition("```")[0]
    named = {line.split()[0].rstrip("/"): line for line in page.splitlines()}
    assert {name for name, line in named.items() if "with --" not in line} == {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_same_seed_same_challenges(run: Run, bereft: dict[str, Any]) -> None:
    """Every plan, provenance and byte that was sent is the same in both runs."""
    _, one = run
    assert one["challenges"] == bereft["challenges"]
    assert one["challenges_digest"] == bereft["challenges_digest"]


@pytest.mark.slow
def test_killing_a_miner_changes_nobody_elses_score(run: Run, bereft: dict[str, Any]) -> None:
    """With the same seed, all other scores are equal to the last bit."""
    _, one = run
    dead = by_name(bereft)["random"]
    assert dead["failures"].get("unreachable", 0) + dead["failures"].get("timeout", 0) >= ROUNDS // 2 - 2
    for name, row in by_name(one).items():
        if name not in {"random", "offline"}:  # both die, and a process may die one answer earlier or later
            assert row["failures"] == by_name(bereft)[name]["failures"]
            assert row["score"] == by_name(bereft)[name]["score"]


def test_dishonest_and_absent_miners(run: Run) -> None:
    """Out of range is a failure every time and earns nothing; who leaves fails from then on."""
    _, summary = run
    rows = by_name(summary)
    assert rows["out-of-range"]["failures"] == {"out_of_range": ROUNDS}
    assert rows["out-of-range"]["score"] == rows["out-of-range"]["weight_on_chain"] == 0
    assert sum(rows["offline"]["failures"].values()) >= ROUNDS // 2 - 2


def test_weights_on_chain_are_the_scores(run: Run) -> None:
    """What stands on chain is the normalised scores, to u16 precision."""
    _, summary = run
    total = sum(row["score"] for row in summary["miners"])
    expected = normalise_u16({row["uid"]: row["score"] / total for row in summary["miners"] if row["score"] > 0})
    assert {row["uid"]: row["weight_u16"] for row in summary["miners"] if row["weight_u16"]} == expected
    for row in summary["miners"]:
        assert abs(row["weight_on_chain"] - row["score"] / total) < 1e-4
        assert abs(row["incentive"] - row["weight_on_chain"]) < 1e-3


def test_anyone_can_compute_the_scores_again(run: Run) -> None:
    """The journal replays to the reported scores, and never names a label to a miner: bodies are known by hash alone."""
    folder, summary = run
    journal = Journal(folder / "validator" / "journal.db")
    history = replay(journal.entries()).history
    rounds = [RoundRecord.model_validate_json(entry.body) for entry in journal.entries(ROUND)]
    journal.close()
    assert {row["hotkey"]: row["score"] for row in summary["miners"]} == {
        hotkey: standing.score for hotkey, standing in history.standings.items()
    }
    for played in rounds:
        assert len({row.query for row in played.outcomes}) >= len(played.outcomes) - 1  # own variants


def test_the_report_can_be_looked_at(run: Run) -> None:
    """Numbers, curves and the contact sheet are on disk, and no process is left behind."""
    folder, _ = run
    for name in ("report.json", "scores.png", "challenges.png"):
        assert (folder / name).stat().st_size > 1000
    left = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False)
    assert left.stdout == ""


def test_the_scoreboard_moves_while_rounds_are_played(run: Run, seen: list[dict[str, Any]]) -> None:
    """With `--web` pages show the game from its first rounds on: rounds only grow, scores change, trends lengthen."""
    _, summary = run
    counts = [board["rounds"] for board in seen]
    assert counts == sorted(counts)
    assert len(set(counts)) >= 3
    assert min(counts) < ROUNDS // 2
    names = {row["name"] for row in summary["miners"]}
    assert all({row["name"] for row in board["miners"]} <= names for board in seen)
    boards = [{row["name"]: (row["score"], len(row["trend"])) for row in board["miners"]} for board in seen]
    assert len({board["npr"] for board in boards if board}) >= 3


def test_the_report_holds_the_site_as_files(run: Run) -> None:
    """Every link leads to a file, and the scores are the summary's."""
    folder, summary = run
    assert broken(folder / "site") == []
    assert len(list((folder / "site" / "1" / "miner").glob("*.html"))) == len(summary["miners"])
    board = json.loads((folder / "site" / "1" / "scoreboard.json").read_text())
    assert {row["name"]: row["score"] for row in board["miners"]} == {
        row["name"]: row["score"] for row in summary["miners"]
    }


@pytest.mark.slow
def test_two_validators_play_in_epochs_that_anybody_can_check(tmp_path: Path) -> None:
    """Eight miners, five epochs and more of each validator: commitments without a break, every round planned by them.

    Both have a permit, weights and trust on chain, and challenges of their own. From what they publish, and the chain,
    `assay verify` proves every round, variant, setting of weights and commitment.
    """
    summary = play(tmp_path / "run", "--validators", "2", "--commit")
    assert [verdict["false"] for verdict in summary["evidence"].values()] == [[], []]
    assert [row["name"] for row in summary["validators"]] == ["validator", "validator-2"]
    seeds = []
    for row in summary["validators"]:
        assert row["permit"]
        assert row["rounds"] == ROUNDS
        assert row["validator_trust"] > 0
        assert sum(row["weights_u16"].values()) > 0
        with JournalReader(tmp_path / "run" / row["name"] / "journal.db") as journal:
            entries = list(journal.entries())
        player = Replayer()
        assert [f for entry in entries for f in player.take(entry) if f.verdict is Verdict.FALSE] == []
        assert row["epochs"] == len(player.commitments) >= 5
        rounds = [RoundRecord.model_validate_json(entry.body) for entry in entries if entry.kind == ROUND]
        last = player.commitments[-1].record.epoch
        revealed = [played for played in rounds if played.epoch is not None and played.epoch < last]
        assert player.proven["rounds planned by their epoch's seed"] == len(revealed)
        assert len(revealed) == ROUNDS
        seeds.append({played.seed for played in rounds})
    assert not seeds[0] & seeds[1]
