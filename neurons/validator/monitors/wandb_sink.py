"""Weights & Biases as a sink: numbers of rounds, and nothing that it would gather by itself.

No label, origin or seed is among the facts, and no score of one hotkey: who reads along learns nothing about media that
it was asked. Arguments, environment, code, console and packages of this process stay here.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from neurons.settings import WandbSettings
from neurons.validator.monitors.aside import Fact
from subnet.errors import SettingsError

QUIET: Final[Mapping[str, object]] = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "host": "",
    "init_timeout": 60.0,
    "program": "",
    "silent": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


def check_installed() -> None:
    """Raises SettingsError where the extra is missing. Imports nothing."""
    if importlib.util.find_spec("wandb") is None:
        raise SettingsError("--wandb.project_name needs wandb: pip install 'assay-subnet[wandb]'")


class WandbSink:
    """One run. $WANDB_API_KEY and $WANDB_MODE are wandb's own; files lie in `folder`."""

    def __init__(self, wanted: WandbSettings, folder: Path, config: Mapping[str, str | int]) -> None:
        """Raises OSError for whatever wandb refuses."""
        import wandb

        self._error: type[Exception] = wandb.Error
        folder.mkdir(parents=True, exist_ok=True)
        mode = "offline" if wanted.offline else os.environ.get("WANDB_MODE", "online")
        try:
            self._run: Any = wandb.init(
                project=wanted.project_name,
                entity=wanted.entity,
                dir=str(folder),
                mode=mode,
                config=dict(config),
                settings=wandb.Settings(**QUIET),
            )
        except (wandb.Error, RuntimeError, ValueError) as error:
            raise OSError(f"wandb: {error}") from error

    def send(self, fact: Fact) -> None:
        """Raises OSError."""
        try:
            self._run.log(dict(fact))
        except (self._error, RuntimeError, ValueError) as error:
            raise OSError(f"wandb: {error}") from error

    def close(self) -> None:
        """Finish the run; what waits is uploaded. Raises OSError."""
        try:
            self._run.finish()
        except (self._error, RuntimeError) as error:
            raise OSError(f"wandb: {error}") from error
