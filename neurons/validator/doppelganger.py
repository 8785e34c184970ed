"""Whether this validator's hotkey is at work on another machine: two of them would fight over weights and be punished.

What stands on chain under the hotkey is either accounted for by this machine's journal, or somebody else's. In the
second case the validator looks for one tempo whether anything moves without it, before it sends anything. Rounds go on
meanwhile. Lighthouse calls it doppelganger protection.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from neurons.log import Log
from neurons.validator.past import Past
from subnet.protocols import Chain
from subnet.types import Snapshot


class Doppelganger:
    """Looks once, before the first weights; `lines` are the commitments that are ours. `take_over` looks at nothing."""

    def __init__(
        self,
        chain: Chain,
        hotkey: str,
        past: Past,
        lines: Callable[[], Collection[str]],
        log: Log,
        *,
        take_over: bool = False,
    ) -> None:
        self._chain, self._hotkey, self._past, self._lines, self._log = chain, hotkey, past, lines, log
        self.alone = take_over  # nothing speaks against sending
        self.elsewhere = False  # it is at work on another machine: for good
        self._since: int | None = None  # block from which on nothing has moved
        self._before: tuple[int, str | None] | None = None
        self._last = -1  # block of the last look

    async def look(self, snapshot: Snapshot) -> bool:
        """Whether this machine may send. Raises ChainError when the chain does not answer."""
        if self.alone or self.elsewhere or snapshot.block == self._last:
            return self.alone
        me = snapshot.neuron(self._hotkey)
        if me is None:
            return False
        statement = await self._chain.commitment(self._hotkey)
        text = statement.text if statement else None
        self._last = snapshot.block
        fresh = me.last_update in (0, me.registered_at)
        accounted = fresh or self._past.accounts_for(me.last_update)
        if accounted and (text is None or text in self._lines()):
            self.alone = True
        elif self._since is None or self._before is None:
            self._since, self._before = snapshot.block, (me.last_update, text)
            self._log.warning(
                "the journal does not account for what stands on chain: is the hotkey at work elsewhere? looking",
                last_update=me.last_update,
                commitment=text,
                blocks=snapshot.hyperparameters.tempo,
            )
        elif (me.last_update, text) != self._before:
            self.elsewhere = True
            self._log.error(
                "this hotkey is at work on another machine: no weights are set and nothing is committed here; stop the "
                "other one, then start this one again, with --neuron.take_over if it must not wait",
                last_update=me.last_update,
                commitment=text,
            )
        elif snapshot.block - self._since >= snapshot.hyperparameters.tempo:
            self.alone = True
            self._log.info("nothing moved for one tempo: this hotkey is at work here alone")
        return self.alone
