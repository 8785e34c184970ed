"""`assay producer --ray`: the plan's origins as workers of a cluster, each with its share of processors and cards."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping

from generators.cluster.crew import Report, Worker, produce
from generators.rows import GeneratorRow
from neurons.producer.makers import Origin
from neurons.producer.settings import Cluster
from neurons.ray_cluster import joined
from neurons.settings import ProducerSettings
from neurons.signals import set_by_signal
from subnet.errors import SettingsError
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.media.pool.producer import PoolPlan, ProducerStep
from subnet.types import JSON

MAKER = "neurons.producer.makers:maker_in_worker"
CARD_GB = 24.0  # of the cluster's cards, where neither a flag nor a card of this host says


def fill_on_ray(
    plan: PoolPlan,
    origins: Mapping[Cell, Origin],
    pool: Pool,
    cluster: Cluster,
    settings: ProducerSettings,
    stop: threading.Event,
    on_step: Callable[[ProducerStep], None],
) -> Report:
    """Fill `pool` by `plan` on a Ray cluster until `stop` is set, or with `settings.once` until all targets are met.

    Raises SettingsError: Ray is missing, no cluster answers, or a model fits on no card.
    """
    pool = _absolute(pool)
    arguments: dict[str, JSON] = {
        "split": str(settings.split),
        "device": settings.device,
        "folders": {name: str(path.absolute()) for name, path in settings.folder.items()},
    }
    with joined(cluster.address) as resources:
        set_by_signal(stop)  # Ray has set its own
        workers = workers_of(plan, origins, arguments, resources, card=cluster.card_gigabytes or _card())
        return produce(plan, workers, pool, stop=stop, once=settings.once, on_step=on_step)


def workers_of(
    plan: PoolPlan,
    origins: Mapping[Cell, Origin],
    arguments: Mapping[str, JSON],
    resources: Mapping[str, float],
    *,
    card: float,
) -> list[Worker]:
    """One worker per cell of the plan.

    Processors are shared out evenly where there are fewer than workers; a model takes the part of a card of `card` GB
    that its row says it needs. Raises SettingsError when the models do not fit on the cluster's cards.
    """
    cells = [target.cell for target in plan.targets if target.count]
    shares = {cell: _share(origins[cell], card) for cell in cells}
    _check_cards({cell: share for cell, share in shares.items() if share}, int(resources.get("GPU", 0)), card)
    cpus = min(1.0, math.floor(1000 * resources.get("CPU", 1.0) / max(1, len(cells))) / 1000)
    return [Worker(cell, MAKER, {"cell": str(cell), **arguments}, cpus=cpus, gpus=shares[cell]) for cell in cells]


def _share(origin: Origin, card: float) -> float:
    """The part of a card that an origin needs, in hundredths; 0 for what runs on a CPU."""
    return math.ceil(100 * origin.vram_gb / card) / 100 if isinstance(origin, GeneratorRow) else 0.0


def _check_cards(shares: Mapping[Cell, float], cards: int, card: float) -> None:
    """Raises SettingsError for models that find no room: a worker that waits for a card would wait for ever."""
    room = [100] * cards
    for cell, share in sorted(shares.items(), key=lambda item: -item[1]):
        need = round(100 * share)
        place = next((index for index, left in enumerate(room) if left >= need), None)
        if place is None:
            raise SettingsError(
                f"{cell.origin} needs {share:.2f} of a card of {card:g} GB, and the cluster's {cards} cards have no "
                "room left for it: take models out of the plan, add cards, or say --ray.card_gigabytes"
            )
        room[place] -= need


def _card() -> float:
    from generators.capability import probe

    return max(probe().gpus, default=CARD_GB)


def _absolute(pool: Pool) -> Pool:
    """The same pool by a path that holds in every worker's folder."""
    return Pool(pool.root.absolute(), budget=pool.budget, floor=pool.floor)
