"""The producer: keeps the pool of ready media filled, so that validators never wait for a generator.

assay producer --pool.path pool --plan plan.toml
"""

from __future__ import annotations

from neurons import settings as s
from neurons.producer.settings import Cluster, Prompts
from neurons.secrets.seed import given_seed
from subnet.errors import SettingsError


def check(*, settings: s.ProducerSettings, cluster: Cluster | None, prompts: Prompts | None, **_: object) -> None:
    """Raises SettingsError for flags of a cluster without one, those that none can have, and a seed that is none."""
    given_seed(settings.seed, settings.seed_file)
    if settings.ray and prompts is not None:
        raise SettingsError("--prompts.captioner does not go with --ray: every worker would load the models anew")
    if cluster is not None and not settings.ray:
        raise SettingsError("--ray.address and --ray.card_gigabytes say where --ray works: add --ray")


def producer(
    *,
    settings: s.ProducerSettings = s.ProducerSettings(),
    cluster: Cluster | None = None,
    pool: s.PoolSettings = s.PoolSettings(),
    prompts: Prompts | None = None,
    logging: s.LoggingSettings = s.LoggingSettings(),
    json: s.Json = False,
) -> None:
    """Fill the pool with real and synthetic media, for ever."""
    from neurons.log import configure
    from neurons.producer.run import run  # with the codecs, which wrong flags need not wait for

    run(settings, cluster or Cluster(), pool, prompts or Prompts(), configure(logging, "producer"), json)
