"""Every error of Assay on one page.

    SubnetError                  ours to catch
    ├── SettingsError            a flag, variable or file is wrong (also a ValueError): names the field and the fix
    ├── UnknownName              no such row in a table (also a ValueError): says what was probably meant
    ├── ChainError               the chain cannot be reached, is silent, or does not speak as expected
    │   └── ChainTimeout         a call or the arrival of blocks outlasted its deadline
    ├── MediaError               media cannot be used (also a ValueError)
    │   ├── MediaUnreadable      not decodable, or outside the allowed formats and sizes
    │   └── MediaTooLarge        more pixels, frames or bytes than allowed
    ├── SourceEmpty              a source has nothing of the kind that was asked for
    │   └── HubUnavailable       the hub gave nothing (in `subnet.media.hub.client`): says when to try again
    ├── GenerationError          a generator gave nothing usable
    │   └── Stopped              it was told to stop before it was done (in `generators.catalog.adapter`)
    ├── Overloaded               no room for a request now: says when to try again
    │   └── NoRoom               for its body, or another of its hotkey's (in `subnet.wire.bodies`)
    ├── CheckpointError          weights do not fit: names the file and the keys (also a ValueError)
    ├── ExportError              a detector cannot leave as ONNX (in `detectors.acceleration.onnx_export`)
    ├── DataError                a data set cannot be trained or evaluated on (also a ValueError)
    ├── StateError               state on disk is damaged, newer than us, cannot be written, or is locked by another
    │   ├── JournalBroken        the journal does not agree with itself: chain, scores, state, or a part is missing
    │   └── Full                 no room for another complaint (in `neurons.web.report.complaints`)
    ├── Unready                  a journal that the site cannot show now (in `neurons.web.book`)
    ├── NotTaken                 a form that the site does not take: says which status (in `neurons.web.report.forms`)
    ├── Refusal                  what a gateway does not take: carries why (in `neurons.gateway.requests.problems`)
    ├── Spent                    a key has no request left (in `neurons.gateway.store.keys`)
    ├── TooMany                  jobs wait (in `neurons.gateway.store.jobs`)
    ├── InHand                   the first request of an idempotency key (in `neurons.gateway.store.repeats`)
    ├── Different                another file came under that key (in `neurons.gateway.store.repeats`)
    ├── GatewayError             what a gateway answered its client (in `neurons.gateway.client`)
    └── ProcessDied              a program of the local network ended by itself (in `neurons.localnet.processes`)

What a miner does wrong is never an exception: it is a `Failure` in its answer (`subnet.types`).
"""

from __future__ import annotations


class SubnetError(Exception):
    """Root of everything raised on purpose."""


class SettingsError(SubnetError, ValueError):
    """A flag, variable or file is wrong."""


class UnknownName(SubnetError, ValueError):
    """No such row in a table."""


class ChainError(SubnetError):
    """The chain cannot be reached or does not speak as expected."""


class ChainTimeout(ChainError):
    """A deadline passed while waiting for the chain."""


class MediaError(SubnetError, ValueError):
    """Media that cannot be used."""


class MediaUnreadable(MediaError):
    """Not decodable, or outside the allowed formats and sizes."""


class MediaTooLarge(MediaError):
    """More pixels, frames or bytes than allowed."""


class SourceEmpty(SubnetError):
    """A source has nothing of the kind that was asked for."""


class GenerationError(SubnetError):
    """A generator gave nothing usable."""


class Overloaded(SubnetError):
    """The miner has no room for this request now: 503, to be tried again after `retry_after` seconds."""

    def __init__(self, message: str = "overloaded", retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CheckpointError(SubnetError, ValueError):
    """Weights that do not fit the network."""


class DataError(SubnetError, ValueError):
    """A data set that cannot be trained or evaluated on."""


class StateError(SubnetError):
    """State on disk that cannot be used."""


class JournalBroken(StateError):
    """The journal does not agree with itself."""
