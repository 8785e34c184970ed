"""Weights that change while a miner serves: loaded and tested beside those that answer, then put in their place.

A file is taken once it has not changed for one look. One that is refused, or changes while it is read, changes nothing
of what is served; it is told once, and tried again when it changes again or on SIGHUP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from neurons.log import Log
from neurons.miner.answering import Answering
from neurons.miner.loading import Fingerprint, fingerprint, load_detector
from neurons.miner.settings import DetectorSettings
from neurons.signals import pause
from subnet.errors import SubnetError
from subnet.types import Modality

LOOK_SECONDS: Final = 1.0  # between two looks at the files


def fingerprints(wanted: DetectorSettings) -> dict[Modality, Fingerprint]:
    """Of the files of both detectors; none of a file that goes away between two questions."""
    return {modality: _look(wanted, modality) for modality in Modality}


def _look(wanted: DetectorSettings, modality: Modality) -> Fingerprint:
    try:
        return fingerprint(wanted.of(modality))
    except OSError:
        return ()


class Reloading:
    """Follows the files of `wanted` for `answering`, from what they were when it was loaded (`known`).

    When `forced` is set both detectors are loaded again at the next look, whether they have changed or not.
    """

    def __init__(
        self,
        wanted: DetectorSettings,
        known: Mapping[Modality, Fingerprint],
        answering: Answering,
        forced: asyncio.Event,
        log: Log,
    ) -> None:
        self._wanted, self._answering, self._forced, self._log = wanted, answering, forced, log
        self._known, self._before = dict(known), dict(known)

    async def keep(self, stop: asyncio.Event) -> None:
        """Until `stop`: what answers is what the files hold."""
        while not await pause(stop, LOOK_SECONDS):
            forced = self._forced.is_set()
            self._forced.clear()
            for modality in Modality:
                found, before = _look(self._wanted, modality), self._before[modality]
                self._before[modality] = found
                if forced or found == before != self._known[modality]:
                    await self._renew(modality, found)

    async def _renew(self, modality: Modality, found: Fingerprint) -> None:
        flag, started = f"--detector.{modality} {self._wanted.of(modality)}", time.monotonic()
        before = self._answering.served[modality]
        self._known[modality] = found
        try:
            detectors = await asyncio.to_thread(load_detector, self._wanted, modality)
        except (SubnetError, OSError) as error:
            self._log.error(
                "weights refused; those before go on answering", why=str(error), serving=before.weights_hash
            )
            return
        if _look(self._wanted, modality) != found:
            self._known[modality] = ()
            self._log.warning("weights changed while they were read; looking again", detector=flag)
            return
        await self._answering.replace(modality, detectors)
        now, seconds = self._answering.served[modality], round(time.monotonic() - started, 1)
        names = {"detector": now.detector, "weights_hash": now.weights_hash, "before": before.weights_hash}
        self._log.info("weights replaced", flag=flag, seconds=seconds, places=list(detectors), **names)
