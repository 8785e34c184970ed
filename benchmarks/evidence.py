"""What evidence takes: bytes a round in the journal and published, and how fast a stranger checks it.

    python -m benchmarks.evidence [--miners 50 256] [--rounds 300]

Rounds follow the real rules: planned by committed seeds, answered and signed by keys of their own, 100 rounds an epoch,
every miner asked in each round, no media. Times are seconds of processors, since others may be at work on this machine:
one process replays, the others check signatures, so that on two free cores the slower half of the work decides.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from bittensor_core import Keypair

from neurons.commands.evidence.workers import processes
from subnet.evidence.entries.segments import write_segment
from subnet.evidence.findings import text_of, verification
from subnet.evidence.journal import Journal
from subnet.evidence.proof.depot import Depot, publish
from subnet.evidence.proof.signatures import answers, check_signatures
from subnet.evidence.proof.verify import Examination
from subnet.evidence.records import (
    COMMITMENT,
    ROUND,
    RULES,
    CommitmentRecord,
    RoundRecord,
    read_record,
    record,
    rules_record,
)
from subnet.evidence.state import State, StateStore
from subnet.game.epochs import commit_of, epoch_seed, secret_of
from subnet.game.sampling import Sampling, plan
from subnet.game.scoring import settle
from subnet.game.step import Round
from subnet.types import (
    Endpoint,
    Hyperparameters,
    Label,
    Media,
    Modality,
    Neuron,
    Outcome,
    Prediction,
    Provenance,
    Reply,
    Sample,
    Snapshot,
)
from subnet.wire.synapse import Envelope, reply_text

EPOCH = 100  # rounds
NETUID, SEED = 34, 7
MEDIA = Media(np.zeros((1, 2, 2, 3), np.uint8))
DETECTORS = (("npr", "a1" * 32), ("ucf", "b2" * 32), ("my-own-detector", ""))


def write(store: StateStore, miners: int, count: int) -> None:
    """A journal of `count` rounds, each of all miners, who are right four times of five."""
    rng = np.random.default_rng(SEED)
    validator, keys = Keypair.create_from_uri("//v"), [Keypair.create_from_uri(f"//m{n}") for n in range(miners)]
    hotkey, by_address = validator.ss58_address, {key.ss58_address: key for key in keys}
    rows = [Neuron(0, hotkey, "v", 5000.0, True)]
    rows += [Neuron(n + 1, key.ss58_address, "m", 0.0, False, Endpoint("1.2.3.4", 1)) for n, key in enumerate(keys)]
    snapshot = Snapshot(NETUID, 1, tuple(rows), Hyperparameters(360, 100))
    origins = {(modality, label): {"photos": 1.0} for modality in Modality for label in Label}
    sampling = Sampling(sample_size=miners, origins=origins)
    store.note(RULES, rules_record(NETUID, hotkey, sampling, vpermit_tao_limit=1000.0, min_answers=24))
    store.observe(snapshot)
    seed = 0
    for number in range(count):
        if number % EPOCH == 0:
            seed = commit(store, number // EPOCH, hotkey)
        planned = plan(seed, number, sampling, rows[1:])
        nonce = 1_800_000_000_000_000_000 + number * 10**9
        played = answered(store, planned, hotkey, by_address, nonce, rng)
        body = record(played, number // EPOCH, rng.bytes(16).hex())
        store.write(ROUND, body, State(number + 1, played.history))
    commit(store, -(-count // EPOCH), hotkey)


def answered(
    store: StateStore, planned: Any, hotkey: str, keys: dict[str, Keypair], nonce: int, rng: np.random.Generator
) -> Round[Any]:
    outcomes, replies, queries = list[Outcome](), list[Reply](), list[str]()
    for number, miner in enumerate(planned.hotkeys):
        p = float(rng.random() / 2 + (planned.label is Label.SYNTHETIC) / 2)
        p = p if rng.random() < 0.8 else 1 - p
        detector, weights = DETECTORS[number % len(DETECTORS)]
        query, latency = rng.bytes(32).hex(), float(rng.random())
        envelope = Envelope(nonce + number, query, hotkey, miner)
        signature = "0x" + keys[miner].sign(reply_text(envelope, p, detector, weights)).hex()
        outcomes.append(Outcome(miner, "c", planned.modality, planned.label, Prediction(p), latency, 1))
        replies.append(
            Reply(Prediction(p), latency, detector, weights or None, 200, nonce=envelope.nonce, signature=signature)
        )
        queries.append(query)
    media = MEDIA if planned.modality is Modality.IMAGE else Media(MEDIA.frames, 25.0)
    about = Provenance("photos", f"item-{planned.number}", "CC0-1.0", seed=planned.number, parameters={"split": "test"})
    drawn = SimpleNamespace(sample=Sample(media, planned.label, about))
    history = settle(store.state.history, outcomes)
    return Round(planned, 1, history, drawn, tuple(outcomes), tuple(replies), tuple(queries))


def commit(store: StateStore, number: int, hotkey: str) -> int:
    """Begin an epoch, as if the chain took every commitment; its seed."""
    secret, head = secret_of(SEED, b"", number, NETUID, hotkey), store.head
    block_hash = "0x" + f"{number:064x}"
    body = CommitmentRecord(
        epoch=number,
        commitment=commit_of(secret, number, NETUID, hotkey),
        revealed=secret_of(SEED, b"", number - 1, NETUID, hotkey).hex() if number else None,
        head=head.hash,
        seq=head.seq,
        block=10 * number + 10,
        block_hash=block_hash,
    )
    store.write(COMMITMENT, body)
    return epoch_seed(secret, block_hash, NETUID, hotkey)


def measure(miners: int, count: int, folder: Path) -> dict[str, Any]:
    """One row of the table."""
    with closing(Journal(folder / "journal.db", segment_bytes=2**40)) as journal:
        store = StateStore(journal)
        write(store, miners, count)
        entries = list(journal.entries())
        rules = rules_record(
            NETUID, Keypair.create_from_uri("//v").ss58_address, Sampling(), vpermit_tao_limit=0.0, min_answers=0
        )
        begun = time.process_time()
        manifest, _ = publish(Depot(folder / "published"), entries, rules, None)
        publishing = time.process_time() - begun
    text = sum(len(entry.body) for entry in entries)
    rounds = [(entry.seq, answers(read_record(RoundRecord, entry))) for entry in entries if entry.kind == ROUND]
    begun = time.process_time()
    checked = check_signatures(rounds, rules.hotkey)
    signing = time.process_time() - begun
    depot, wall, begun = Depot(folder / "published"), time.perf_counter(), time.process_time()
    with processes(manifest.last) as executor:
        examined = Examination(executor).run(depot.parts(manifest))
    replaying, wall = time.process_time() - begun, time.perf_counter() - wall
    result = verification([], examined.proven, examined.findings)
    assert not result.false, text_of(result)
    assert dict(result.proven)["answers signed by their miners"] == checked.good == miners * count
    busier = max(replaying, (replaying + signing) / 2)  # of two processes that share the work
    return {
        "miners": miners,
        "rounds": count,
        "text_bytes": round(text / count),
        "live_bytes": round((folder / "journal.db").stat().st_size / count),
        "segment_bytes": round(write_segment(folder / "packed", entries).path.stat().st_size / count),
        "published_bytes": round(sum(part.size for part in manifest.parts) / count),
        "publish_ms": round(1e3 * publishing / count, 2),
        "replay_ms": round(1e3 * replaying / count, 2),
        "signatures_ms": round(1e3 * signing / count, 2),
        "wall_rounds_per_second": round(count / wall, 1),
        "two_cores_rounds_per_second": round(count / busier, 1),
        "ten_thousand_rounds_seconds": round(10_000 * busier / count, 1),
        "proven": dict(result.proven),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--miners", type=int, nargs="+", default=[50, 256])
    parser.add_argument("--rounds", type=int, default=300)
    given = parser.parse_args()
    for miners in given.miners:
        with tempfile.TemporaryDirectory() as name:
            print(json.dumps(measure(miners, given.rounds, Path(name))))


if __name__ == "__main__":
    main()
