"""What a stranger would find: each validator's evidence published, and verified from the files and the chain alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurons.localnet.processes import Crew, ProcessDied

FOLDER = "evidence"  # below the run's; one folder for each validator
FALSE = 4  # status of `assay verify` where something is false


async def prove(crew: Crew, folder: Path, names: Sequence[str], endpoint: str) -> Mapping[str, dict[str, Any]]:
    """The answer of `assay verify --json` by validator; what it says is in FOLDER, too, as NAME.json.

    Raises ProcessDied where a command ends in another way than with a verdict.
    """
    verdicts = {}
    for name in names:
        place = folder / FOLDER / name
        await _output(crew, f"publish-{name}", ["publish", str(folder / name / "journal.db"), str(place), "--media"])
        verify = ["verify", str(place), "--subtensor.chain_endpoint", endpoint, "--json"]
        text = await _output(crew, f"verify-{name}", verify, FALSE)
        place.with_suffix(".json").write_text(text)
        verdicts[name] = json.loads(text)
    return verdicts


async def _output(crew: Crew, name: str, arguments: Sequence[str], *fine: int) -> str:
    process = await crew.start(name, "neurons", arguments)
    text, _ = await process.communicate()
    if process.returncode not in (0, *fine):
        raise ProcessDied(f"{name} ended with status {process.returncode}:\n{crew.tail(name)}")
    return text.decode()
