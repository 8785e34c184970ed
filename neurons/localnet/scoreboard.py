"""What a local network shows while it runs: one table, made anew after every round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from neurons.localnet.epochs import Paid
from neurons.localnet.players import Player
from subnet.types import Failure, Label, Neuron, Prediction

Line = Mapping[str, Any]  # one round as `neurons.validator.telemetry` prints it


@dataclass
class Scoreboard:
    """The rounds so far and what the chain says of them."""

    players: Sequence[Player]
    hotkeys: Mapping[str, str]  # by player's name
    rounds: int  # to be played
    tempo: int = 0  # blocks between two epochs of the chain
    lines: list[Line] = field(default_factory=list)
    block: int = 0
    neurons: Mapping[str, Neuron] = field(default_factory=dict)  # by hotkey
    weights: Mapping[int, int] = field(default_factory=dict)  # u16 by uid
    validators: dict[str, Mapping[int, int]] = field(default_factory=dict)  # u16 by uid that each set, by name
    trust: Mapping[int, tuple[float, float]] = field(default_factory=dict)  # consensus and validator trust by uid, 0..1
    epochs: Sequence[Paid] = ()  # of the chain
    evidence: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # what was proven, by validator's name
    gone: set[str] = field(default_factory=set)  # names

    def share(self, hotkey: str) -> float:
        """Weight on chain as a share of all weights."""
        total, neuron = sum(self.weights.values()), self.neurons.get(hotkey)
        return self.weights.get(neuron.uid, 0) / total if neuron and total else 0.0

    def challenges(self) -> dict[str, Counter[str]]:
        """How many challenges by modality, label, level and origin; void rounds left out."""
        counted = [line for line in self.lines if not line["void"]]
        return {key: Counter(str(line[key]) for line in counted) for key in ("modality", "label", "level", "origin")}

    def render(self) -> Group:
        """The table for a terminal."""
        last = self.lines[-1] if self.lines else None
        head = Text(f"round {len(self.lines)}/{self.rounds}   block {self.block}   ", style="bold")
        if last:
            label = str(last["label"])
            head.append(
                f"{last['modality']}, {label}, level {last['level']}, from {last['origin']}", style=_colour(label)
            )
            head.append(f"   {last['void']}", style="yellow")
        table = Table(box=None, padding=(0, 1), header_style="dim")
        for name in ("uid", "miner", "answer", "score", "", "weight", "incentive"):
            table.add_column(name, justify="left" if name in {"miner", "answer", ""} else "right", no_wrap=bool(name))
        for player in self.players:
            table.add_row(*self._row(player, last))
        return Group(head, table)

    def _row(self, player: Player, last: Line | None) -> list[str | Text]:
        hotkey = self.hotkeys[player.name]
        neuron = self.neurons.get(hotkey)
        score = next((line["scores"][hotkey] for line in reversed(self.lines) if hotkey in line["scores"]), 0.0)
        return [
            str(neuron.uid) if neuron else "",
            Text(player.name, style="strike dim" if player.name in self.gone else ""),
            _answer(last["answers"].get(hotkey), _label(last, hotkey)) if last else "",
            f"{score:.3f}",
            "█" * round(10 * score),
            f"{self.share(hotkey):.4f}",
            f"{neuron.incentive:.4f}" if neuron else "",
        ]


def _label(line: Mapping[str, Any], hotkey: str) -> str:
    """The truth about what this hotkey was asked: in a twin round some are asked the photograph."""
    return "real" if hotkey in line.get("real", ()) else str(line["label"])


def _answer(answer: float | str | None, label: str) -> Text:
    if answer is None:
        return Text("")
    if isinstance(answer, str):
        return Text(Failure(answer).value, style="red")
    right = Prediction(answer).label is Label[label.upper()]
    return Text(f"{answer:.3f}", style="green" if right else "red")


def _colour(label: str) -> str:
    return "magenta" if label == "synthetic" else "cyan"
