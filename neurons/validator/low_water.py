"""Whether a journal goes as far as its own validator's word on chain: an old copy must not be played on by mistake."""

from __future__ import annotations

from neurons.log import Log
from subnet.errors import StateError
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import RULES, RulesRecord, read_record
from subnet.evidence.state import StateStore
from subnet.game.epochs import Commitment, parse
from subnet.protocols import Chain
from subnet.types import Snapshot

MARGIN = 10_000  # rounds that a validator may have played behind its last commitment, and more


def check_owner(journal: Journal, netuid: int, hotkey: str) -> None:
    """Raises StateError where `journal`, and so its folder, is of another hotkey or subnet. Nothing is written."""
    with JournalReader(journal.path, journal.segments) as reader:
        first = next(reader.entries(RULES), None)
    if first is None:
        return
    rules = read_record(RulesRecord, first)
    if (rules.netuid, rules.hotkey) != (netuid, hotkey):
        raise StateError(
            f"{journal.path.parent} is the state of hotkey {rules.hotkey} on subnet {rules.netuid}, and this is "
            f"{hotkey} on {netuid}: give another --state, or leave it out"
        )


async def check_low_water(
    chain: Chain, hotkey: str, journal: Journal, store: StateStore, log: Log, *, forward: bool = False
) -> None:
    """Hold `journal` against the head that its validator committed on chain. Raises ChainError.

    Raises StateError for an older copy of the journal, and for another one. With `forward` it is played on all the
    same, from a round that no run before it can have reached, so that nothing is asked again.
    """
    stands = await _committed(chain, hotkey)
    if stands is None or ((entry := journal.find(stands.seq)) is not None and entry.hash == stands.head):
        return
    what = "ends before that" if journal.length < stands.seq else "has another one there"
    why = (
        f"on chain this hotkey has committed entry {stands.seq} of its journal ({stands.head[:16]}...), and "
        f"{journal.path}, which has {journal.length} entries, {what}"
    )
    if not forward:
        raise StateError(
            f"{why}: put the newest copy of the state back, or, if it is lost, go on with --neuron.forward (what was "
            "played since can then never be proven)"
        )
    missing = max(0, stands.seq - journal.length)
    store.skip(missing + MARGIN)
    log.warning("an older state goes on", why=why, next_round=store.state.next_round)


def check_known(snapshot: Snapshot, hotkey: str, journal: Journal, *, forward: bool = False) -> None:
    """Raises StateError for an empty journal of a hotkey that has set weights: its scores lie elsewhere."""
    me = snapshot.neuron(hotkey)
    if journal.length or forward or me is None or me.last_update in (0, me.registered_at):
        return
    raise StateError(
        f"on chain hotkey {hotkey} has set weights in block {me.last_update}, and {journal.path} is empty: put its "
        "state back (--state names another folder), or, if it is lost, begin with none by --neuron.forward"
    )


async def _committed(chain: Chain, hotkey: str) -> Commitment | None:
    statement = await chain.commitment(hotkey)
    try:
        return parse(statement.text) if statement else None
    except ValueError:
        return None
