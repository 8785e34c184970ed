"""How a program that runs stands, from what lies in its state folder, its axon's port, and the chain where asked."""

from __future__ import annotations

import fcntl
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from neurons import settings as s
from neurons.doctor.machine import Finding, Health
from subnet.chain.bittensor import BittensorChain
from subnet.errors import ChainError, SettingsError, StateError
from subnet.evidence.binding import BEHIND
from subnet.evidence.entries.entry import BEGINNING, Entry
from subnet.evidence.reader import LIVE, JournalReader
from subnet.evidence.records import ROUND, RULES, WEIGHTS, RoundRecord, RulesRecord, WeightsRecord, read_record
from subnet.evidence.replay import replay
from subnet.evidence.state import check_state
from subnet.printing import without_credentials
from subnet.types import Neuron, Snapshot, Submission

RECENT = 100  # rounds that failures and void rounds are counted in
MANY = 0.5  # share of failed answers, and of void rounds, from which on it is told
AHEAD = 60.0  # seconds that the time of a round may lie ahead of this clock
FEW_ITEMS = 20  # of the pool, below which it runs dry soon
LEAST_TRUST = 0.5  # vtrust below which a validator's weights count for less than half
RESTORE = "stop the validator and restore a backup: docs/validating.md"


def validator(folder: Path, max_age: float, max_block_age: float, max_weights_age: int) -> Iterator[Finding]:
    """The validator whose state lies in `folder`; ages in seconds, that of weights in blocks."""
    yield _process(folder / "journal.lock")
    path = folder / LIVE
    try:
        written = _written(path)  # before it is opened: whoever reads beside a log touches the files of the log
        with JournalReader(path) as reader:
            _check_state(reader)
            tail = deque(reader.live(), maxlen=5000)
        yield Finding("journal", Health.OK, f"{reader.length:,} entries")
        rounds = [read_record(RoundRecord, entry) for entry in tail if entry.kind == ROUND][-RECENT:]
        yield _last_round(rounds, written, max_age)
        yield from _last_block(tail, max_block_age)
        yield _weights(tail, rounds, max_weights_age)
        yield from _one_chain(tail, rounds)
    except StateError as error:
        yield Finding("journal", Health.FAIL, str(error), _journal_fix(error))
        return
    yield from _failures(rounds)


def _journal_fix(error: StateError) -> str:
    return "install the newer Assay again" if "newer Assay" in str(error) else RESTORE


def journals(home: Path) -> Iterator[Finding]:
    """Every validator's journal below `home` opens here, and its state is the one of its last entry."""
    for path in sorted(home.glob(f"validator-*/{LIVE}")):
        try:
            with JournalReader(path) as reader:
                _check_state(reader)
        except StateError as error:
            yield Finding("journal", Health.FAIL, str(error), _journal_fix(error))
        else:
            yield Finding("journal", Health.OK, f"{path}: {reader.length:,} entries")


def _check_state(reader: JournalReader) -> None:
    """Raises StateError unless the state is the one of the last entry."""
    check_state(reader.state(), reader.last or BEGINNING, lambda: replay(reader.entries()))


def _process(lock: Path) -> Finding:
    """Whether a process holds the lock of the state folder."""
    try:
        handle = os.open(lock, os.O_RDONLY)
    except OSError:
        return Finding("process", Health.FAIL, "no validator has run here", "start it: assay validator")
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Finding("process", Health.OK, f"runs as {os.read(handle, 32).decode(errors='replace').strip()}")
    finally:
        os.close(handle)
    return Finding("process", Health.FAIL, "it does not run", "start it, and read the end of its log")


def _written(path: Path) -> float:
    """When anything was last written to the journal, in seconds since 1970; 0 where there is none."""
    files = (path, path.with_name(path.name + "-wal"))
    return max((file.stat().st_mtime for file in files if file.exists()), default=0.0)


def _last_round(rounds: list[RoundRecord], written: float, max_age: float) -> Finding:
    """The last round, and its age by the numbers in it, which are times: of a request that was answered, in
    nanoseconds. Where nobody answered, or its clock was ahead of ours, `written` stands for it.
    """
    if not rounds:
        return Finding("last round", Health.FAIL, "none was played yet", "read its log: is the pool empty?")
    asked, where = _asked(rounds[-1]), f"round {rounds[-1].number:,} at block {rounds[-1].block:,}"
    age = max(0.0, time.time() - (asked or written))
    found = f"{where}, {age:,.0f} s ago" if asked else f"{where}; the journal was last written {age:,.0f} s ago"
    if age > max_age:
        return Finding("last round", Health.FAIL, found, "read the end of its log: chain, pool, or a process that died")
    return Finding("last round", Health.OK, found)


def _asked(played: RoundRecord) -> float | None:
    """When a round was played, in seconds since 1970; None where it does not tell, or is ahead of this clock."""
    asked = max((outcome.nonce or 0 for outcome in played.outcomes), default=0) / 1e9
    return asked if 0 < asked <= time.time() + AHEAD else None


def _last_block(tail: deque[Entry], most: float) -> Iterator[Finding]:
    """How long ago the first round was played over the newest block: without a chain rounds go on over one block."""
    rounds = (read_record(RoundRecord, entry) for entry in reversed(tail) if entry.kind == ROUND)
    newest = next(rounds, None)
    if newest is None:
        return
    same = [newest, *takewhile(lambda one: one.block == newest.block, rounds)]
    times = [asked for one in same if (asked := _asked(one)) is not None]
    if not times:
        return
    age = max(0.0, time.time() - min(times))
    found = f"rounds know of block {newest.block:,} since {age:,.0f} s"
    fix = "does the chain answer? assay doctor; name another --subtensor.chain_endpoint" if age > most else ""
    yield Finding("block", Health.FAIL if age > most else Health.OK, found, fix)


def _weights(tail: deque[Entry], rounds: list[RoundRecord], most: int) -> Finding:
    """The last weights that the chain took, beside the last round."""
    records = [read_record(WeightsRecord, entry) for entry in tail if entry.kind == WEIGHTS]
    taken = [record for record in records if record.submission is Submission.OK]
    if not taken:
        why = f"; the last attempt: {records[-1].submission.value} {records[-1].message}" if records else ""
        fix = "weights need a permit and enough answers (--neuron.min_answers): read its log"
        return Finding("weights", Health.WARN, f"none were set lately{why}", fix)
    age = max(0, rounds[-1].block - taken[-1].block) if rounds else 0
    return _weights_age(age, most)


def _one_chain(tail: deque[Entry], rounds: list[RoundRecord]) -> Iterator[Finding]:
    """What was recorded before may be of blocks that the chain of the last round has not reached: it was reset."""
    settings = [read_record(WeightsRecord, entry).block for entry in tail if entry.kind == WEIGHTS]
    highest = max([*settings, *(played.block for played in rounds)], default=0)
    if rounds and rounds[-1].block < highest - BEHIND:
        found = f"the journal is of two: the last round of block {rounds[-1].block:,}, others of up to {highest:,}"
        fix = "nothing of the second can be proven: stop, move the state away and begin a new one; or its node lags"
        yield Finding("chain", Health.WARN, found, fix)


def _weights_age(age: int, most: int, name: str = "weights") -> Finding:
    """Weights that are `age` blocks old, where `most` are allowed."""
    fix = "read its log for what the chain answered: permit, rate limit, version key" if age > most else ""
    return Finding(name, Health.FAIL if age > most else Health.OK, f"{age:,} blocks old", fix)


def _failures(rounds: list[RoundRecord]) -> Iterator[Finding]:
    """Void rounds, and answers that failed, of the last rounds."""
    if not rounds:
        return
    void = sum(bool(one.void) for one in rounds)
    outcomes = [outcome for one in rounds for outcome in one.outcomes]
    failed = sum(outcome.failure is not None for outcome in outcomes)
    share = failed / max(1, len(outcomes))
    much = share > MANY or void / len(rounds) > MANY
    found = f"{void} of {len(rounds)} rounds void, {share:.0%} of {len(outcomes):,} answers failed"
    fix = "can this machine reach the miners? assay doctor" if much else ""
    yield Finding("failures", Health.WARN if much else Health.OK, found, fix)


def ready_media(settings: s.PoolSettings) -> Iterator[Finding]:
    """How much lies ready in the pool."""
    fix = "start the producer on this pool: assay producer"
    if not settings.folder.is_dir():
        yield Finding("pool", Health.FAIL, f"there is no pool {settings.folder}", f"{fix}, or name it with --pool.path")
        return
    items = sum(settings.open().levels().values())
    verdict = Health.FAIL if items == 0 else Health.WARN if items < FEW_ITEMS else Health.OK
    yield Finding("pool", verdict, f"{items:,} items ready", "" if verdict is Health.OK else fix)


def miner(axon: s.AxonSettings, folder: Path, max_block_age: float) -> Iterator[Finding]:
    """The miner of `folder` that listens at `axon`, and how the requests since its start ended; the age in seconds."""
    from neurons.doctor.network import axon_requests, axon_state

    state, fix = axon_state(axon, 2.0), "start it, or name its --axon.port and --axon.ip"
    if state is None:
        yield Finding("process", Health.FAIL, f"no miner answers on {axon.port} of {axon.ip}", fix)
        return
    with suppress(SettingsError):  # of a folder that does not tell whose it is
        _, hotkey = _identity(folder)
        if hotkey != state.hotkey:
            found = f"on {axon.port} of {axon.ip} answers the miner of {state.hotkey}, not that of {hotkey}"
            yield Finding("process", Health.FAIL, found, fix)
            return
    verdict, why = (Health.FAIL if state.why else Health.OK), "read its log" if state.why else ""
    yield Finding("process", verdict, state.why or f"ready on {axon.port} of {axon.ip}", why)
    if state.chain_age is not None:
        old = state.chain_age > max_block_age
        fix = "does the chain answer? assay doctor; name another --subtensor.chain_endpoint" if old else ""
        verdict = Health.FAIL if old else Health.OK
        yield Finding("block", verdict, f"the chain was last read {state.chain_age:,.0f} s ago", fix)
    counts = axon_requests(axon, 2.0)
    total, bad = sum(counts.values()), sum(n for status, n in counts.items() if status.startswith("5"))
    much = total > 0 and bad / total > MANY
    found = f"{bad:,.0f} of {total:,.0f} requests since its start failed here (5xx)"
    yield Finding("failures", Health.WARN if much else Health.OK, found, "read its log" if much else "")


async def on_chain(
    subtensor: s.SubtensorSettings, folder: Path, deadline: float, most: int, role: str
) -> list[Finding]:
    """What the chain says of the hotkey of `folder` within `deadline` seconds."""
    try:
        netuid, hotkey = _identity(folder)
        link = BittensorChain(subtensor.endpoint, netuid, None, call_deadline=deadline)
    except (SettingsError, StateError) as error:
        return [Finding("chain", Health.FAIL, str(error), "name the state folder with --state")]
    try:
        snapshot = await link.snapshot()
        trust = await link.trust(at=snapshot.block)
    except ChainError as error:
        return [
            Finding(
                "chain",
                Health.FAIL,
                without_credentials(str(error)),
                "check --subtensor.network or --subtensor.chain_endpoint",
            )
        ]
    finally:
        await link.close()
    me = snapshot.neuron(hotkey)
    if me is None:
        fix = f"register it again: btcli subnets register --netuid {netuid}"
        return [Finding("registration", Health.FAIL, f"{hotkey} is not registered on subnet {netuid}", fix)]
    consensus, validator_trust = trust.get(me.uid, (0.0, 0.0))
    about = [Finding("registration", Health.OK, f"uid {me.uid} at block {snapshot.block:,}, stake {me.stake:,.0f}")]
    if role == "miner":
        return about + list(_of_a_miner(me, consensus))
    return about + list(_of_a_validator(me, validator_trust, snapshot, most))


def _of_a_miner(me: Neuron, consensus: float) -> Iterator[Finding]:
    """What the last epoch paid, and where validators are sent."""
    found = f"{me.incentive:.4f} of the subnet's in the last epoch, consensus {consensus:.4f}"
    fix = "" if me.incentive else "a new miner waits for answers enough; else see why: assay explain HOTKEY JOURNAL"
    yield Finding("incentive", Health.OK if me.incentive else Health.WARN, found, fix)
    if me.endpoint is None:
        yield Finding("published", Health.FAIL, "no address: no validator asks it", "start the miner: it publishes one")
    else:
        yield Finding("published", Health.OK, me.endpoint.url)


def _of_a_validator(me: Neuron, trust: float, snapshot: Snapshot, most: int) -> Iterator[Finding]:
    """Whether it may set weights, how old they are, and how far others agree with them (vtrust)."""
    fix = "" if me.permit else "more stake, then wait one tempo"
    yield Finding("permit", Health.OK if me.permit else Health.FAIL, "held" if me.permit else "none", fix)
    fix = "a new validator waits for answers enough; else its log says why"
    name = "weights on chain"
    never = Finding(name, Health.WARN, "none were ever set", fix)
    yield _weights_age(snapshot.block - me.last_update, most, name) if me.last_update else never
    low = trust < LEAST_TRUST
    found = f"{trust:.3f} in the last epoch, dividends {me.dividends:.4f}"
    fix = "weights differ from the others', or no epoch has counted them: plan, version, and age of the weights"
    yield Finding("vtrust", Health.WARN if low else Health.OK, found, fix if low else "")


def _identity(folder: Path) -> tuple[int, str]:
    """Subnet and hotkey: from the folder's name, else from a miner's last lock, or the rules in a validator's journal.

    Raises SettingsError where nothing tells, StateError for a journal that cannot be read.
    """
    locks = sorted(folder.glob(s.MINERS_LOCK), key=lambda path: path.stat().st_mtime)
    for name in (folder.name, *(path.stem.removeprefix("assay-") for path in reversed(locks))):
        parts = name.split("-")
        if len(parts) == 3 and parts[1].isdigit():
            return int(parts[1]), parts[2]
    if (folder / LIVE).exists():
        with JournalReader(folder / LIVE) as reader:
            for entry in reader.entries(RULES):
                rules = read_record(RulesRecord, entry)
                return rules.netuid, rules.hotkey
    raise SettingsError(f"{folder} does not tell its subnet and hotkey")
