"""What a local network leaves behind: numbers as JSON, curves and a contact sheet as PNG, one line of verdict."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table

from neurons.localnet import epochs
from neurons.localnet.players import Player
from neurons.localnet.plots import draw_challenges, score_curves
from neurons.localnet.scoreboard import Line, Scoreboard
from neurons.validator import thumbnails
from subnet.chain.weights import normalise_u16
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import (
    COMMITMENT,
    ROUND,
    WEIGHTS,
    CommitmentRecord,
    RoundRecord,
    WeightsRecord,
    read_record,
)
from subnet.evidence.replay import replay
from subnet.game.history import MCC_WINDOW, Window
from subnet.game.scoring import ALPHA, mcc, score
from subnet.types import Label, Submission

ZERO = 0.02  # of the best score: what counts as nothing
ENOUGH = MCC_WINDOW  # rounds after which scores can be held against what is expected


def summarise(board: Scoreboard, folder: Path, seconds: float, first: float, seed: int) -> dict[str, Any]:
    """All numbers of a run, from the validator's journal and the chain. Replays the journal on the way."""
    with JournalReader(folder / "validator" / "journal.db") as journal:
        history = replay(journal.entries()).history
        rounds = [RoundRecord.model_validate_json(entry.body) for entry in journal.entries(ROUND)]
        attempts = [WeightsRecord.model_validate_json(entry.body) for entry in journal.entries(WEIGHTS)]
    sent = next((a.weights for a in reversed(attempts) if a.submission is Submission.OK), {})
    miners = [
        _miner(player, board, rounds, sent, score(history, board.hotkeys[player.name])) for player in board.players
    ]
    miners.sort(key=lambda row: -row["score"])
    counts = board.challenges()
    played = [line for line in board.lines if not line["void"]]
    fine, verdict = as_expected(miners, board.players, sent, board)
    return {
        "rounds": len(played),
        "void_rounds": len(board.lines) - len(played),
        "challenges": {key: dict(counter) for key, counter in counts.items()},
        "challenges_digest": digest(rounds),
        "seed": seed,
        "seconds": round(seconds, 1),
        "first_round_seconds": round(first, 1),
        "rounds_per_second": round(len(board.lines) / max(1e-9, seconds - first), 2),
        "weights_set": sum(a.submission is Submission.OK for a in attempts),
        "miners": miners,
        "validators": [_validator(name, board, folder / name) for name in board.validators],
        "tempo": board.tempo,
        "epochs": epochs.rows(
            board.epochs,
            {player.name: board.hotkeys[player.name] for player in board.players},
            {name: board.hotkeys[name] for name in board.validators},
        ),
        "evidence": board.evidence,
        "as_expected": fine,
        "verdict": verdict,
    }


def _miner(
    player: Player, board: Scoreboard, rounds: Sequence[RoundRecord], sent: dict[int, float], standing: Any
) -> dict[str, Any]:
    hotkey = board.hotkeys[player.name]
    neuron = board.neurons[hotkey]
    asked = [(row.truth(r.label), row) for r in rounds if not r.void for row in r.outcomes if row.hotkey == hotkey]
    right = [row.correct(label) for label, row in asked]
    return {
        "uid": neuron.uid,
        "hotkey": hotkey,
        "name": player.name,
        "detector": next((row.detector for _, row in asked if row.detector), None),
        "asked": len(asked),
        "answered": standing.answered,
        "failures": dict(Counter(row.failure.value for _, row in asked if row.failure)),
        "accuracy": sum(right) / len(right) if right else 0.0,
        "mcc": _mcc([(label, correct) for (label, _), correct in zip(asked, right, strict=True)]),
        "windows": {
            modality.value: {"accuracy": part.accuracy, "mcc": part.mcc, "reward": part.reward, "asked": part.asked}
            for modality, part in standing.parts.items()
        },
        "score": standing.value,
        "weight_sent": sent.get(neuron.uid, 0.0),
        "weight_on_chain": board.share(hotkey),
        "weight_u16": board.weights.get(neuron.uid, 0),
        "incentive": neuron.incentive,
        "consensus": board.trust.get(neuron.uid, (0.0, 0.0))[0],
        "median_latency": _median([row.latency for _, row in asked if row.failure is None]),
    }


def _validator(name: str, board: Scoreboard, folder: Path) -> dict[str, Any]:
    """One validator: what it did by its journal, and how it stands on chain."""
    neuron = board.neurons[board.hotkeys[name]]
    with JournalReader(folder / "journal.db") as journal:
        kinds = Counter(entry.kind for entry in journal.entries())
        attempts = [read_record(WeightsRecord, entry) for entry in journal.entries(WEIGHTS)]
        commitments = [read_record(CommitmentRecord, entry) for entry in journal.entries(COMMITMENT)]
        until = max((read_record(RoundRecord, entry).block for entry in journal.entries(ROUND)), default=0)
    uids = {board.neurons[board.hotkeys[player.name]].uid: player.name for player in board.players}
    weighted = epochs.weighted(board.epochs, neuron.hotkey, board.tempo, until)
    refused = Counter(a.code or a.submission.value for a in attempts if a.submission is not Submission.OK)
    return {
        "name": name,
        "uid": neuron.uid,
        "hotkey": neuron.hotkey,
        "permit": neuron.permit,
        "stake": neuron.stake,
        "rounds": kinds[ROUND],
        "weights_set": sum(a.submission is Submission.OK for a in attempts),
        "weights_refused": dict(refused),
        "chain_epochs": len(weighted),  # from that of its first weights on, while it played
        "chain_epochs_without_weights": weighted.count(False),
        "epochs": sum(c.block is not None for c in commitments),
        "weights_u16": {uids[uid]: value for uid, value in board.validators[name].items() if uid in uids},
        "validator_trust": board.trust.get(neuron.uid, (0.0, 0.0))[1],
        "dividends": neuron.dividends,
    }


def _mcc(outcomes: Sequence[tuple[Label, bool]]) -> float:
    """Over the last hundred of both modalities together, by the rule of the game."""
    window = Window()
    for label, correct in outcomes[-MCC_WINDOW:]:
        window = window.push(label, correct)
    return mcc(window)


def _median(values: Sequence[float]) -> float | None:
    return round(sorted(values)[len(values) // 2], 4) if values else None


def digest(rounds: Sequence[RoundRecord]) -> str:
    """sha256 over what was asked, the sha256 of every variant included: the same for two runs with the same seed."""
    facts = [
        [r.number, r.modality, int(r.label), r.origin, r.level, r.provenance, sorted(o.query for o in r.outcomes)]
        for r in sorted(rounds, key=lambda r: r.number)
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def as_expected(
    miners: Sequence[dict[str, Any]], players: Sequence[Player], sent: dict[int, float], board: Scoreboard
) -> tuple[bool | None, str]:
    """Whether everybody ended where honest scoring puts them, and one line that says so; None after too few rounds.

    Faults of the game itself count however short it was: void rounds, a modality in which nobody was heard, and weights
    on chain that are not the ones sent.
    """
    order = " > ".join(f"{row['name']} {row['score']:.3f}" for row in miners)
    faults = _faults(board)
    if (normalise_u16(sent) if sent else {}) != dict(board.weights):
        faults.append("the weights on chain are not the ones that were sent")
    faults += [f"the evidence of {name} is false" for name, verdict in board.evidence.items() if not verdict["ok"]]
    if len(board.lines) >= ENOUGH:
        faults += _misplaced(miners, players, board)
    if faults:
        return False, f"NOT as expected ({'; '.join(faults)}): {order}"
    if len(board.lines) < ENOUGH:
        return None, f"{len(board.lines)} rounds are too few to judge, {ENOUGH} are enough: {order}"
    return True, f"as expected: {order}"


def _faults(board: Scoreboard) -> list[str]:
    """What no game should show, whoever plays."""
    faults = []
    void = [line for line in board.lines if line["void"]]
    if void:
        faults.append(f"{len(void)} of {len(board.lines)} rounds are void, the first since {void[0]['void']}")
    for modality in sorted({str(line["modality"]) for line in board.lines}):
        asked = [line for line in board.lines if line["modality"] == modality and not line["void"]]
        if asked and not any(isinstance(answer, float | int) for line in asked for answer in line["answers"].values()):
            faults.append(f"nobody answered any of {len(asked)} {modality}s")
    return faults


def _misplaced(miners: Sequence[dict[str, Any]], players: Sequence[Player], board: Scoreboard) -> list[str]:
    """Who has not the place that honest scoring gives. Who was killed half way fades, whatever it was before."""
    expected = {p.name: "zero" if p.name in board.gone else p.expect for p in players}
    best = max(row["score"] for row in miners)
    low = max((row["score"] for row in miners if expected[row["name"]] == "low"), default=0.0)
    faded = (1 - ALPHA) ** (board.rounds // 2) < ZERO  # long enough for who left half way
    wrong = []
    for row in miners:
        if expected[row["name"]] == "high" and row["score"] <= low:
            wrong.append(f"{row['name']} has {row['score']:.3f}, a guesser {low:.3f}")
        if expected[row["name"]] == "zero" and row["score"] > ZERO * best and (faded or row["answered"] == 0):
            wrong.append(f"{row['name']} still has {row['score']:.3f}")
    return wrong


def standings(summary: dict[str, Any]) -> Group:
    """For a terminal: how validators and miners stand on chain in the end, and when the first round was scored."""
    validators = _table(
        "validator", "stake", "rounds", "weights set", "refused", "epochs", "without", "vtrust", "dividends"
    )
    for row in summary["validators"]:
        sent = [row["weights_set"], sum(row["weights_refused"].values())]
        paid = [row["chain_epochs"], row["chain_epochs_without_weights"]]
        shares = [f"{row['validator_trust']:.4f}", f"{row['dividends']:.4f}"]
        validators.add_row(row["name"], f"{row['stake']:.0f}", str(row["rounds"]), *map(str, sent + paid), *shares)
    miners = _table("miner", "score", "accuracy", "weight", "consensus", "incentive")
    for row in summary["miners"]:
        shares = [row[name] for name in ("weight_on_chain", "consensus", "incentive")]
        miners.add_row(row["name"], f"{row['score']:.3f}", f"{row['accuracy']:.3f}", *(f"{s:.4f}" for s in shares))
    first = f"first round scored after {summary['first_round_seconds']:.1f} s"
    return Group(validators, "", miners, "", f"{first}, {summary['rounds_per_second']} rounds per second from then on")


def _table(name: str, *numbers: str) -> Table:
    table = Table(box=None, padding=(0, 1), collapse_padding=True, header_style="dim")
    table.add_column(name)
    for number in numbers:
        table.add_column(number, justify="right")
    return table


def write_report(summary: dict[str, Any], board: Scoreboard, folder: Path) -> None:
    """report.json, scores.png and challenges.png in `folder`."""
    (folder / "report.json").write_text(json.dumps(summary, indent=2) + "\n")
    score_curves(_curves(board.lines, board), folder / "scores.png")
    pictures = thumbnails.read(folder / "gallery")
    if pictures:
        draw_challenges(pictures, folder / "challenges.png")


def _curves(lines: Sequence[Line], board: Scoreboard) -> dict[str, list[tuple[int, float]]]:
    return {
        player.name: [
            (line["round"], line["scores"][board.hotkeys[player.name]])
            for line in lines
            if board.hotkeys[player.name] in line["scores"]
        ]
        for player in board.players
    }
