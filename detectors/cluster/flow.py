"""Work that flows over a Ray cluster in parts: tasks prepare them on CPUs, actors with a network each answer them.

Whatever passes between processes is pickled here, so that Ray Data sees columns of bytes alone: pickles of this run, of
processes of one cluster, which runs code for whoever reaches it anyway; none is read from a file. When a worker dies
Ray runs its parts again elsewhere: what a part does must come to the same when it is done twice. Every host needs the
package, and the data under the same path. The program has joined the cluster before (`ray.init`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from subnet.errors import DataError, SubnetError

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")
Row = dict[str, bytes]
PREPARE_CPUS = 0.5  # of a task that reads and decodes; other than an actor's, or Ray would run both in one process
PIECE = 256  # records of a part that is only looked at
_RAISED = re.compile(r"^\s*([\w.]*(?:Error|Exception)\b.*)", re.MULTILINE)


@dataclass(frozen=True)
class Crew:
    """How many actors answer, and what each of them takes of the cluster: processors and cards, or fractions."""

    actors: int = 1
    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True)
class Failure:
    """An error of ours on its way to the program, which raises it: Ray's own passes the text alone."""

    error: SubnetError


def flow(
    work: Sequence[T], prepare: Callable[[T], Any], make: Callable[[], Callable[[Any], R]], crew: Crew
) -> Iterator[R]:
    """`make()(prepare(each))` of all of `work`, as they are ready.

    Raises what `prepare`, `make` and its function raise of SubnetError, and DataError where workers die of a part.
    """
    import ray.data

    answered = _prepared(work, prepare).map(
        _Actor,
        fn_constructor_args=(ray.cloudpickle.dumps(make),),
        compute=ray.data.ActorPoolStrategy(size=crew.actors),
        num_cpus=crew.cpus,
        num_gpus=crew.gpus,
    )
    yield from _values(answered)


def spread(function: Callable[[S], T], records: Sequence[S]) -> Sequence[T]:
    """`function` of every record, in order, by tasks. Raises as `flow`."""
    parts = [(start, records[start : start + PIECE]) for start in range(0, len(records), PIECE)]

    def of_part(part: tuple[int, Sequence[S]]) -> tuple[int, list[T]]:
        return part[0], [function(record) for record in part[1]]

    found: dict[int, list[T]] = dict(_values(_prepared(parts, of_part))) if parts else {}
    return [value for start, _ in parts for value in found[start]]


def check_data(root: Path) -> None:
    """Raises DataError on a host that does not see the data."""
    if not root.is_dir():
        raise DataError(f"data: {root} is not there on a host of the cluster; every host has to see it")


def _prepared(work: Sequence[Any], prepare: Callable[[Any], Any]) -> Any:
    """A Ray data set of one block for each of `work`."""
    import ray.data

    pickled = ray.cloudpickle.dumps(prepare)

    def prepared(row: Row) -> Row:
        from ray import cloudpickle

        return _called(cloudpickle.loads(pickled), row)

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [{"value": ray.cloudpickle.dumps(each)} for each in work]
    return ray.data.from_items(rows, override_num_blocks=len(rows)).map(prepared, num_cpus=PREPARE_CPUS)


class _Actor:
    """A process that makes its function, with a network in it, once."""

    def __init__(self, pickled: bytes) -> None:
        from ray import cloudpickle

        try:
            self._function: Callable[[Any], Any] = cloudpickle.loads(pickled)()
        except SubnetError as error:
            failure = Failure(error)
            self._function = lambda value: failure

    def __call__(self, row: Row) -> Row:
        return _called(self._function, row)


def _called(function: Callable[[Any], Any], row: Row) -> Row:
    """The row of what `function` gives, or raises; a failure before it is passed on."""
    from ray import cloudpickle

    value = cloudpickle.loads(row["value"])
    if isinstance(value, Failure):
        return row
    try:
        return {"value": cloudpickle.dumps(function(value))}
    except SubnetError as error:
        return {"value": cloudpickle.dumps(Failure(error))}


def _values(dataset: Any) -> Iterator[Any]:
    import ray

    try:
        for row in dataset.iter_rows():
            value = ray.cloudpickle.loads(row["value"])
            if isinstance(value, Failure):
                raise value.error
            yield value
    except ray.exceptions.RayError as error:
        raised = _RAISED.search(str(error))
        why = raised[1] if raised else type(error).__name__
        raise DataError(f"ray: a part ended with {why}; what is finished is kept: start again to go on") from error
