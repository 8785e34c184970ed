"""Detectors on a Ray cluster, for a miner to answer with, and a site to judge files by.

assay replicas --ray.address HEAD:6379 --ray.replicas 4 --ray.gpus 1 --detector.image npr
"""

from __future__ import annotations

from neurons import settings as s
from neurons.miner.settings import JudgeSettings
from neurons.replicas.settings import ClusterSettings
from subnet.errors import SettingsError


def check(*, detector: JudgeSettings, **_: object) -> None:
    """Raises SettingsError for several devices."""
    if len(detector.places) > 1:
        raise SettingsError(f"--detector.device {detector.device}: a replica has one; --ray.replicas makes several")


def replicas(
    *,
    detector: JudgeSettings = JudgeSettings(),
    ray: ClusterSettings = ClusterSettings(),
    logging: s.LoggingSettings = s.LoggingSettings(),
) -> None:
    """Have detectors answer on the hosts of a Ray cluster: pip install 'assay-subnet[ray]'.

    Every host needs the package, and weights of your own under the same path. Miners, and `assay web --try`, ask them
    by --detector.address.
    """
    from neurons.log import configure
    from neurons.replicas.serving import serve  # with Ray, which wrong flags need not wait for

    serve(detector, ray, configure(logging, "replicas"))
