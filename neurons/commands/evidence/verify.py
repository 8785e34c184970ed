"""`assay verify`: what published evidence proves, and what in it is false."""

from __future__ import annotations

import asyncio
import json as jsonlib
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from neurons.commands.evidence.workers import processes
from neurons.settings import Json, SubtensorSettings
from subnet.errors import ChainError, JournalBroken, MediaError, SettingsError, StateError
from subnet.evidence.entries.entry import Entry
from subnet.evidence.findings import Finding, Verdict, Verification, text_of, verification

if TYPE_CHECKING:
    from subnet.evidence.proof.claims import ChainFacts
    from subnet.evidence.proof.depot import Depot
    from subnet.evidence.proof.publication import Manifest
    from subnet.evidence.proof.verify import Examined
    from subnet.evidence.records import RoundRecord
    from subnet.protocols import Chain

EXIT_FALSE: Final = 4
RULED: Final = 3  # the first schema whose journals hold rules
ChainOf = Callable[[int], "Chain"]  # by netuid


def verify(
    source: str,
    *,
    subtensor: SubtensorSettings = SubtensorSettings(),
    offline: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Check published evidence of a validator, and what the chain says of it, without trust in anybody.

    Exit status 4 where anything is false. The same evidence and chain give the same text to everybody.

    Parameters
    ----------
    source
        Where it was published: a folder, or an address that fsspec knows.
    offline
        Ask no chain: commitments and weights that stand there are not proven.
    """
    from subnet.evidence.proof.depot import Depot

    depot = Depot(source)
    result = check(depot, None if offline else _chain(subtensor))
    if json:
        plain = {"about": result.about, "proven": dict(result.proven), "ok": not result.false}
        findings = {v: [asdict(f) for f in getattr(result, v)] for v in ("false", "unproven")}
        plain["more"] = sum(result.more.values())
        print(jsonlib.dumps({**plain, **findings}))
    else:
        print(text_of(result))
    if result.false:
        sys.stdout.flush()
        sys.exit(EXIT_FALSE)


def check(depot: Depot, chain_of: ChainOf | None, executor: Executor | None = None) -> Verification:
    """Everything about the evidence in `depot`. Raises SettingsError where there is none, StateError where it
    cannot be read or holds nothing.
    """
    from subnet.codec.versions import codec_versions
    from subnet.evidence.proof.claims import judge
    from subnet.evidence.proof.past import unasked
    from subnet.evidence.proof.publication import MANIFEST
    from subnet.evidence.proof.verify import Examination

    manifest = depot.manifest()
    if manifest is None:
        raise SettingsError(f"SOURCE {depot.address}: no manifest.json there; name a place that `assay publish` wrote")
    if not manifest.parts:
        raise StateError(f"{depot.address}/{MANIFEST} lists no entries: nothing was checked")
    with executor or processes(manifest.last) as workers:
        media = _Media(depot, manifest, workers)
        examined = Examination(workers, media.check, codec_versions()).run(depot.parts(manifest))
    findings = examined.findings
    findings += _identity(manifest, examined)
    if chain_of is not None:
        facts = asyncio.run(_ask(chain_of(manifest.netuid), manifest, examined))
        findings += judge(facts, examined.player.claims, examined.proven)
    else:
        findings += unasked(examined.player.claims.metagraphs)
        findings.append(Finding(0, "commitments and weights on chain: no chain was asked", Verdict.UNPROVEN))
    return verification(_about(manifest, examined), examined.proven, findings)


class _Media:
    """Starts the check of what each miner of a round was sent."""

    def __init__(self, depot: Depot, manifest: Manifest, executor: Executor) -> None:
        self._depot, self._executor = depot, executor
        self._listed = {media.content: media for media in manifest.media}

    def check(self, entry: Entry, played: RoundRecord) -> Future[list[Finding]] | None:
        """None where the round's item is not published."""
        if (listed := self._listed.get(played.item)) is None:
            return None
        try:
            data = self._depot.media(listed)
        except JournalBroken as error:
            broken: Future[list[Finding]] = Future()
            broken.set_result([Finding(entry.seq, str(error))])
            return broken
        return self._executor.submit(media_findings, entry, data)


def media_findings(entry: Entry, data: bytes) -> list[Finding]:
    """What is wrong with the media of one round, or with what was made of it."""
    from subnet.evidence.proof.origins import check_origin
    from subnet.evidence.proof.variants import check_variants
    from subnet.evidence.records import RoundRecord, read_record
    from subnet.media.embedded.source import original_of
    from subnet.media.pool.kept import checked, sample_of

    played = read_record(RoundRecord, entry)
    try:
        sample = sample_of(data, played.item)
    except MediaError as error:
        return [Finding(entry.seq, f"round {played.number}: {error}")]
    twins = any(row.label is not None for row in played.outcomes)
    try:
        original = original_of(sample) if twins else None
    except (LookupError, TypeError, ValueError) as error:
        return [Finding(entry.seq, f"round {played.number}: no original is where its twin says: {str(error)[:200]}")]
    origin = checked(data, played.item).cell.origin
    about = check_origin(entry.seq, played, origin, sample.provenance)
    return [*about, *check_variants(entry.seq, played, sample, original)]


def _chain(subtensor: SubtensorSettings) -> ChainOf:
    from subnet.chain.bittensor import BittensorChain  # the chain's SDK, which --offline need not wait for

    return lambda netuid: BittensorChain(subtensor.endpoint, netuid)


async def _ask(chain: Chain, manifest: Manifest, examined: Examined) -> ChainFacts:
    from subnet.evidence.proof.claims import gather

    try:
        return await gather(chain, manifest.hotkey, examined.player.claims)
    except ChainError as error:
        raise ChainError(f"{error}; --offline checks what needs no chain") from error
    finally:
        await chain.close()


def _identity(manifest: Manifest, examined: Examined) -> Iterator[Finding]:
    rules, began = examined.player.rules, examined.began
    if rules is None or began is None:
        return
    if rules.hotkey != manifest.hotkey:
        yield Finding(0, f"the manifest names {manifest.hotkey}, the entries are {rules.hotkey}'s")
    if rules.netuid != manifest.netuid:
        yield Finding(0, f"the manifest names subnet {manifest.netuid}, the entries are of {rules.netuid}")
    if manifest.schema_version < RULED:
        yield Finding(0, f"the manifest is of schema {manifest.schema_version}, its entries are of {RULED} or later")
    if manifest.codecs != began.codecs:
        yield Finding(0, "the manifest names other codecs than the first rules do")


def _about(manifest: Manifest, examined: Examined) -> list[str]:
    from subnet.evidence.rules import summary

    player = examined.player
    epochs = [claim.record.epoch for claim in player.commitments]
    spoken = f"commitments {epochs[0]}-{epochs[-1]}" if epochs else "no commitments"
    rounds = f"{player.rounds:,} rounds, {player.void:,} of them void" if player.void else f"{player.rounds:,} rounds"
    return [
        f"evidence of {manifest.hotkey} on subnet {manifest.netuid}",
        f"entries 1-{examined.last.seq}, {rounds}, {player.attempts:,} attempts to set weights, {spoken}",
        *([summary(player.rules)] if player.rules else []),
    ]
