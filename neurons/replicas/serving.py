"""From joining a cluster to leaving it: replicas are deployed with Ray Serve, and how many live is told."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from neurons.cluster.remote import PREFIX
from neurons.log import Log
from neurons.miner.settings import JudgeSettings
from neurons.ray_cluster import joined
from neurons.replicas.replica import Replica
from neurons.replicas.settings import ClusterSettings
from neurons.signals import set_by_signal
from subnet.errors import SettingsError
from subnet.types import Modality

LOOK_SECONDS: Final = 2.0
IN_HAND: Final = 16  # requests at one replica: one is judged, the others wait or only ask who answers
HEALTH: Final = {"health_check_period_s": 2.0, "health_check_timeout_s": 10.0, "graceful_shutdown_timeout_s": 5.0}


def serve(wanted: JudgeSettings, cluster: ClusterSettings, log: Log) -> None:
    """Serve until SIGINT or SIGTERM. Raises SettingsError: Ray is missing, no cluster answers, no replica comes up."""
    stop = threading.Event()
    with joined(cluster.address) as resources:
        from ray import serve as ray_serve

        set_by_signal(stop)  # Ray has set its own
        _check_room(cluster, resources)
        options = {"host": cluster.host, "port": cluster.port}
        ray_serve.start(proxy_location="EveryNode", http_options=options)
        targets = [ray_serve.RunTarget(_application(m, wanted, cluster), _name(m), f"{PREFIX}/{m}") for m in Modality]
        ray_serve.run_many(targets, wait_for_applications_running=False)
        try:
            _watch(ray_serve, stop, cluster, log)
        finally:
            for modality in Modality:
                ray_serve.delete(_name(modality), _blocking=False)


def _name(modality: Modality) -> str:
    return f"assay-{modality}"


def _application(modality: Modality, wanted: JudgeSettings, cluster: ClusterSettings) -> Any:
    from ray import serve as ray_serve

    share = {"num_cpus": cluster.cpus, "num_gpus": cluster.gpus}
    deployment = ray_serve.deployment(Replica).options(
        name=_name(modality),
        num_replicas=cluster.replicas,
        ray_actor_options=share,
        max_ongoing_requests=IN_HAND,
        **HEALTH,
    )
    return deployment.bind(wanted, modality, cluster.replicas)


def _check_room(cluster: ClusterSettings, resources: Mapping[str, float]) -> None:
    """Raises SettingsError for replicas that find no room: they would wait for it for ever."""
    for flag, kind, each in (("cpus", "CPU", cluster.cpus), ("gpus", "GPU", cluster.gpus)):
        there, needed = resources.get(kind, 0.0), len(Modality) * cluster.replicas * each
        if needed > there:
            raise SettingsError(
                f"--ray.replicas {cluster.replicas} of {len(Modality)} modalities take {needed:g} {kind}s and the "
                f"cluster has {there:g}: take fewer, or less for each with --ray.{flag}"
            )


def _watch(ray_serve: Any, stop: threading.Event, cluster: ClusterSettings, log: Log) -> None:
    """Tell of every change in how many replicas live. Raises SettingsError when the first ones do not come up."""
    alive: dict[Modality, int] = {}
    while not stop.wait(LOOK_SECONDS if alive else 0.2):
        applications = ray_serve.status().applications
        now = {modality: _running(applications.get(_name(modality))) for modality in Modality}
        if not alive:
            for application in applications.values():
                if application.status == "DEPLOY_FAILED":
                    raise SettingsError(f"the replicas do not come up: {application.message}")
            if min(now.values()) < cluster.replicas:
                continue
            log.info("serving", address=f"http://{cluster.host}:{cluster.port}", **{str(m): n for m, n in now.items()})
        elif now != alive:
            short = min(now.values()) < cluster.replicas
            say = log.warning if short else log.info
            say("replicas", wanted=cluster.replicas, **{str(modality): count for modality, count in now.items()})
        alive = now


def _running(application: Any) -> int:
    """How many replicas of an application answer."""
    states: Counter[str] = Counter()
    for deployment in application.deployments.values() if application else ():
        states.update({str(getattr(state, "value", state)): n for state, n in deployment.replica_states.items()})
    return states["RUNNING"]
