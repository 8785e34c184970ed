"""`assay bench`: how many images or clips a second each detector judges on this machine."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict

from rich.table import Table

from neurons import settings as s
from neurons.progress import bar
from neurons.terminal import terminal
from subnet.errors import SettingsError
from subnet.types import Modality


def bench(*detectors: str, items: int = 24, rounds: int = 3, device: str = "auto", json: s.Json = False) -> None:
    """Measure detectors: eager fp32 one by one, beside the serving path of the miner.

    Parameters
    ----------
    detectors
        Names of `assay detectors`, checkpoint files or NAME=FILE; by default every one with weights.
    items
        Images; a quarter as many clips.
    rounds
        Rounds of each side, which take turns; the best counts.
    device
        auto, cpu, cuda or cuda:N.
    """
    for name, value in (("items", items), ("rounds", rounds)):
        if value < 1:
            raise SettingsError(f"--{name} must be at least 1, not {value}")
    from detectors import TABLE
    from detectors.acceleration.benchmark import examples, throughput
    from detectors.loading import open_detector

    place, found = s.device(device), []
    names = detectors or tuple(row.name for row in TABLE.values() if row.weights)
    with bar("bench", len(names)) as progress:
        for number, name in enumerate(names, start=1):
            opened = open_detector(name, device=place)
            count = items if opened.modality is Modality.IMAGE else max(1, items // 4)
            media = examples(opened.modality, count)
            found.append(throughput(opened, media, rounds=rounds, cache=s.home() / "serving"))
            progress(number)
    if json:
        print(jsonlib.dumps([{**asdict(each), "speedup": each.speedup} for each in found]))
        return
    table = Table("detector", "one by one /s", "served /s", "times", "CPU s each", "served as", "score moved", box=None)
    for each in found:
        speed = (f"{each.plain:.1f}", f"{each.served:.1f}", f"{each.speedup:.1f}")
        cpu = f"{each.plain_cpu:.3f} to {each.served_cpu:.3f}"
        table.add_row(each.detector, *speed, cpu, each.backend, f"{each.moved:.1g}")
    terminal().print(table)
