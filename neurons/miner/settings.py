"""Everything that decides how one miner runs, in one frozen value, and the rules that follow from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal

from cyclopts import Parameter

from detectors import TABLE
from neurons import settings as s
from neurons.cluster.address import check_address
from subnet.errors import SettingsError
from subnet.registry import find
from subnet.types import Endpoint, Modality
from subnet.wire.admission import Policy
from subnet.wire.endpoints import refusal

_DEVICE: Final = re.compile("auto|cpu|cuda(:[0-9]+)?")
ANY_PORT: Final = 49152  # stands for the port that the system chooses, until it has


@Parameter(name="detector")
@dataclass(frozen=True)
class JudgeSettings:
    """Which detector answers for which modality; see `assay detectors`."""

    image: str = "npr"
    """What answers images: a name of `assay detectors`, a checkpoint file, or NAME=FILE."""
    video: str = "frames"
    """What answers videos, in the same way."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; with commas between them, several that take turns: cuda:0,cuda:1."""
    serving: Literal["fast", "plain"] = "fast"
    """fast: through onnxruntime on a CPU (exported at the first start, then kept below $ASSAY_HOME), channels_last on a
    GPU; plain: as trained."""

    def __post_init__(self) -> None:
        """Raises UnknownName and SettingsError for what needs no file to be opened."""
        for modality, text in ((Modality.IMAGE, self.image), (Modality.VIDEO, self.video)):
            if "=" in text or "/" in text or Path(text).suffix:
                continue
            if find(TABLE, text, "detector").modality is not modality:
                raise wrong_modality(modality, text)
        if not all(_DEVICE.fullmatch(device) for device in self.places.values()):
            raise SettingsError(
                f"--detector.device must be auto, cpu, cuda or cuda:N, or several with commas, not {self.device!r}"
            )

    @property
    def places(self) -> dict[str, str]:
        """The devices by what they are called here, in order: the second cpu of "cpu,cpu" is "cpu (2)"."""
        devices = [device.strip() for device in self.device.split(",")]
        counts = [devices[: number + 1].count(device) for number, device in enumerate(devices)]
        return {d if count == 1 else f"{d} ({count})": d for d, count in zip(devices, counts, strict=True)}

    def of(self, modality: Modality) -> str:
        """What answers for `modality`, as it was typed."""
        return self.image if modality is Modality.IMAGE else self.video


@Parameter(name="detector")
@dataclass(frozen=True)
class DetectorSettings(JudgeSettings):
    """What answers, and where."""

    max_batch: int = 32
    """Most items in one forward pass."""
    address: str | None = None
    """http://HOST:PORT where `assay replicas` has detectors answer on a Ray cluster; none is loaded here, then."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_batch < 1:
            raise SettingsError(f"--detector.max_batch must be at least 1, not {self.max_batch}")
        if self.address is None:
            return
        check_address(self.address)
        for flag in fields(JudgeSettings):
            if getattr(self, flag.name) != flag.default:
                raise SettingsError(f"--detector.{flag.name} is for `assay replicas` where there is --detector.address")


def wrong_modality(modality: Modality, text: str) -> SettingsError:
    """What to say of a detector that answers for the other modality."""
    fitting = ", ".join(row.name for row in TABLE.values() if row.modality is modality)
    return SettingsError(f"--detector.{modality} {text}: it does not answer {modality}s; take one of {fitting}")


@dataclass(frozen=True)
class MinerSettings:
    """The miner's flags, as `assay miner --help` describes them."""

    netuid: int
    detector: DetectorSettings = DetectorSettings()
    subtensor: s.SubtensorSettings = s.SubtensorSettings()
    wallet: s.WalletSettings = s.WalletSettings()
    axon: s.AxonSettings = s.AxonSettings()
    blacklist: s.BlacklistSettings = s.BlacklistSettings()
    state: Path | None = None
    local: bool = False

    def folder(self, hotkey: str) -> Path:
        """Where accepted nonces are kept."""
        return self.state or s.home() / f"miner-{self.netuid}-{hotkey}"

    def policy(self) -> Policy:
        """The admission rule that the flags ask for."""
        blacklist = self.blacklist
        return Policy(
            require_permit=blacklist.force_validator_permit,
            allow_unregistered=blacklist.allow_non_registered,
            min_stake=blacklist.min_stake,
            blacklist=frozenset(blacklist.hotkeys),
            rate=blacklist.rate,
            burst=max(1.0, 4 * blacklist.rate),
        )

    def host(self) -> str:
        """The address to publish. Raises SettingsError where the one listened on is no address to call."""
        axon = self.axon
        if not axon.external_ip and axon.ip in {"0.0.0.0", "::"}:
            raise SettingsError("--axon.external_ip is needed: the address that validators can reach this miner at")
        return axon.external_ip or axon.ip

    def endpoint(self, listening: int) -> Endpoint:
        """What is published on chain for a server that listens on the port `listening`.

        Raises SettingsError for an endpoint that no validator calls.
        """
        endpoint = Endpoint(self.host(), self.axon.external_port or listening)
        why_not = refusal(endpoint, local=self.local)
        if why_not:
            raise SettingsError(
                f"no validator would call {endpoint.url} ({why_not}): give the public address that leads to this miner "
                "with --axon.external_ip, and its port with --axon.external_port where that is another"
            )
        return endpoint
