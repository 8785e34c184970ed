"""What goes wrong around a validator that runs, with the real programs: it goes on, says why, and nothing is lost.

One network serves all of these tests: each leaves the programs at work. `tests/faults.toml` says which cure each holds.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from subnet.chain.devnode.keys import wallet_from_seed
from subnet.chain.devnode.ledger.genesis import Rules
from subnet.chain.devnode.ledger.state import Row
from subnet.chain.devnode.node.store import Saved
from subnet.chain.wallets import open_wallet
from subnet.codec.image import encode_image
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import DEPARTED, SETTING, WEIGHTS, DepartedRecord, WeightsRecord, read_record
from subnet.types import Endpoint, Failure, Media, Modality, Neuron, Prediction, Query, Reply, Submission
from subnet.wire.dendrite import Dendrite
from tests.e2e.programs import GUESSING, Network, network

SPACING = 10  # blocks between two settings
RULES = Rules(tempo=40, weights_rate_limit=2, allow_loopback=True, serving_rate_limit=0)
GAME = ("--neuron.interval", 0.8, "--neuron.epoch_length", SPACING, "--neuron.no-commit")
ITEMS = 200  # of each kind of image; an eighth of that of each kind of video
PLAN = """total = 4
[weights]
"image/real/photos" = 9
"image/synthetic/model" = 9
"video/real/photos" = 1
"video/synthetic/model" = 1
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("localnet")]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "ASSAY_HOME"):
            patch.setenv(name, str(folder / "home"))
        with network(folder, RULES, items=ITEMS) as net:
            (folder / "plan.toml").write_text(PLAN)
            yield net


@pytest.fixture
def net(programs: Network) -> Network:
    """A validator at work."""
    if "validator" not in programs.processes:
        programs.start_validator("validator", *GAME)
    more_rounds(programs)
    return programs


def more_rounds(net: Network, count: int = 1) -> None:
    before = net.rounds()
    net.until(f"{count} more rounds", lambda: net.rounds() >= before + count)


def more_weights(net: Network) -> None:
    before = len(net.blocks())
    net.until("more weights", lambda: len(net.blocks()) > before)


def says(net: Network, text: str, since: int, name: str = "validator") -> None:
    """Wait until the log has `text` behind its first `since` letters."""
    net.until(f"{name} says {text!r}", lambda: text in net.log(name)[since:])


def answers(net: Network) -> set[Failure | None]:
    """How the miner answered in the last round that asked it."""
    asked = [played for played in net.played() if played.outcomes]
    return {outcome.failure for outcome in asked[-1].outcomes} if asked else set()


def row_of(state: Saved, hotkey: str) -> tuple[int, Row]:
    return next((uid, row) for uid, row in enumerate(state.state.rows) if row.hotkey == hotkey)


def with_row(saved: Saved, of: str, **changes: object) -> Saved:
    uid, row = row_of(saved, of)
    return replace(saved, state=saved.state.with_row(uid, replace(row, **changes)))  # type: ignore[arg-type]


def test_the_chain_is_down_at_the_start(programs: Network) -> None:
    """F6: a validator that finds no chain says so, goes on trying, and plays once there is one."""
    programs.kill("chain")
    programs.start_validator("validator", *GAME)
    says(programs, "the chain does not answer yet", 0)
    programs.start_chain()
    more_rounds(programs)


@pytest.mark.parametrize("other", ["state", "home"])
def test_a_second_validator_of_a_hotkey_ends_at_once(net: Network, other: str) -> None:
    """F5: status 3 and the first one's process id, whatever folder it is given for its state, and whatever home."""
    words = ["validator", *map(str, (*net.joined("validator"), *GAME))]
    home = os.environ["ASSAY_HOME"]
    if other == "state":
        words[words.index("--state") + 1] = str(net.folder / "another")
    else:
        home = str(net.folder / "another-home")
    done = subprocess.run(
        [sys.executable, "-m", "neurons", *words, "--pool.path", str(net.folder / "pool-validator")],
        capture_output=True, text=True, check=False, timeout=90, env={**os.environ, "ASSAY_HOME": home},
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert f"in use by the process {net.processes['validator'].pid}" in done.stderr
    assert "Traceback" not in done.stderr
    more_rounds(net)


@pytest.mark.parametrize("other", ["state", "home"])
def test_a_second_miner_of_a_hotkey_ends_at_once(net: Network, other: str) -> None:
    """F5: it would publish over the first one's endpoint, and that one over its own, for ever."""
    words = ["miner", *map(str, (*net.joined("miner"), *GUESSING)), "--axon.ip", "127.0.0.1", "--axon.port", "0"]
    home = str(net.folder / "home")  # that of the first one, which serves all of these tests
    if other == "state":
        words[words.index("--state") + 1] = str(net.folder / "another")
    else:
        home = str(net.folder / "another-home")
    done = subprocess.run(
        [sys.executable, "-m", "neurons", *words],
        capture_output=True, text=True, check=False, timeout=90, env={**os.environ, "ASSAY_HOME": home},
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert f"in use by the process {net.processes['miner'].pid}: one miner per hotkey" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_permit_that_is_lost(net: Network) -> None:
    """F7: told once with what brings it back, rounds go on, nothing is sent; with the permit weights are set again."""
    more_weights(net)
    since, hotkey = len(net.log("validator")), net.hotkeys["validator"]
    before = net.rewrite(lambda saved: with_row(saved, hotkey, permit=False, stake=0))
    says(net, "no validator permit", since)
    quiet = len(net.log("validator"))
    standing = net.saved().number
    net.until("two settings would have been due", lambda: net.saved().number > standing + 2 * SPACING)
    more_rounds(net)
    assert '"weights"' not in net.log("validator")[quiet:]
    _, row = row_of(before, hotkey)
    net.rewrite(lambda saved: with_row(saved, hotkey, permit=True, stake=row.stake))
    more_weights(net)


def test_a_uid_that_changes_hands(net: Network) -> None:
    """F9: who left is forgotten and written down; who comes back by a new registration begins with nothing."""
    miner = net.hotkeys["miner"]
    more_rounds(net)
    stranger = wallet_from_seed("stranger", net.folder / "wallets", "life").hotkey.ss58_address
    since = len(net.log("validator"))
    net.rewrite(lambda saved: with_row(saved, miner, hotkey=stranger, axon=None))
    says(net, "hotkeys left the subnet", since)
    net.rewrite(lambda saved: with_row(saved, stranger, hotkey=miner, axon=None))
    more_rounds(net)
    net.until("the miner is asked again", lambda: answers(net) == {None})
    with JournalReader(net.journal()) as reader:
        gone = [read_record(DepartedRecord, entry) for entry in reader.entries(DEPARTED)]
    assert gone[-1].hotkeys == (miner,)


def test_a_chain_that_goes_far_back(net: Network) -> None:
    """F8: told; weights follow the blocks that there are now, no sooner than their spacing and no later than two."""
    early = net.folder / "early.json"
    more_weights(net)
    shutil.copy(net.folder / "chain.json", early)
    net.rewrite(lambda saved: replace(saved, number=saved.number + 300))
    more_weights(net)
    since, stood = len(net.log("validator")), net.blocks()
    net.kill("chain")
    shutil.copy(early, net.folder / "chain.json")
    number = net.saved().number
    net.start_chain()
    says(net, "the chain went back", since)
    net.until(
        "weights on the chain that there is", lambda: any(b > number and b not in stood for b in net.blocks()), 60
    )
    assert "Traceback" not in net.log("validator")[since:]


def test_a_disk_that_is_full(net: Network) -> None:
    """F3: rounds are kept in memory while nothing can be written, and are all in the journal once there is room."""
    validator = net.processes["validator"].pid
    more_rounds(net, 2)
    first = net.played()[-1].number
    resource.prlimit(validator, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    time.sleep(0.5)
    before = net.rounds()
    time.sleep(3.0)
    assert net.rounds() == before
    resource.prlimit(validator, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    more_rounds(net, 3)
    numbers = [played.number for played in net.played() if played.number >= first]
    assert numbers == list(range(first, first + len(numbers)))


def test_killed_between_sending_and_the_block(net: Network) -> None:
    """F2: the next run finds out what became of the weights, writes it down, and sends none before they are due."""
    more_weights(net)
    net.rewrite(lambda saved: saved)  # a quiet moment
    settings, deadline = count(net, SETTING), time.monotonic() + 60
    while count(net, SETTING) == settings and time.monotonic() < deadline:
        time.sleep(0.002)
    net.kill("validator")
    unknown = count(net, SETTING) - count_sent(net)
    assert unknown == 1
    since = len(net.log("validator"))
    net.start_validator("validator", *GAME)
    says(net, "sent before a restart", since)
    more_weights(net)
    net.until("every outcome is written down", lambda: count(net, SETTING) == count_sent(net))
    blocks = net.blocks()
    assert blocks[-1] - blocks[-2] >= SPACING


def count(net: Network, kind: str) -> int:
    with JournalReader(net.journal()) as reader:
        return sum(1 for _ in reader.entries(kind))


def count_sent(net: Network) -> int:
    """Outcomes of settings that may have been sent."""
    with JournalReader(net.journal()) as reader:
        return sum(bool(read_record(WeightsRecord, entry).weights) for entry in reader.entries(WEIGHTS))


def test_a_clock_that_is_wrong_and_jumps(net: Network) -> None:
    """F10: told at the start; miners refuse what is signed in the past, rounds end in time, and answers come again."""
    clock = net.folder / "clock"
    net.kill("validator", signal.SIGTERM)
    set_clock(clock, "-60")
    since = len(net.log("validator"))
    net.start_validator("validator", *GAME, program=("tests.e2e.wrong_clock", clock))
    says(net, "clocks apart", since)
    more_rounds(net)
    assert answers(net) == {Failure.REFUSED}
    for jump, answer in (("0", None), ("-60", Failure.REFUSED), ("0", None)):
        set_clock(clock, jump)
        net.until(f"a round under a clock that is {jump} s off", lambda a=answer: answers(net) == {a}, 20)
    more_weights(net)
    assert net.kill("validator", signal.SIGTERM) == 0


def set_clock(file: Path, seconds: str) -> None:
    """At no moment is there half a number."""
    new = file.with_suffix(".new")
    new.write_text(seconds)
    new.rename(file)


def test_an_outcome_is_known_of_every_setting(net: Network) -> None:
    """After all of the above the journal has what became of each setting, and the chain took those that it says."""
    assert net.kill("validator", signal.SIGTERM) == 0
    with JournalReader(net.journal()) as reader:
        outcomes = [read_record(WeightsRecord, entry) for entry in reader.entries(WEIGHTS)]
    assert any(outcome.submission is Submission.OK for outcome in outcomes)
    assert "Traceback" not in net.log("validator")


async def test_sigterm_in_the_middle_of_rounds(net: Network) -> None:
    """F18: a validator between rounds, and a miner under a flood of a permitted hotkey, end soon and with status 0.

    What the miner was asked before is answered, refused or cut off as it closes, and never garbage; the journal is whole.
    """
    since = net.hashes()
    assert net.kill("validator", signal.SIGTERM) == 0
    assert net.hashes()[: len(since)] == since
    replies: list[Reply] = []
    async with Dendrite(open_wallet("validator", "default", str(net.folder / "wallets")).hotkey, local=True) as flood:
        asking = asyncio.create_task(ask_for_ever(net, flood, replies, answered := asyncio.Event()))
        await asyncio.wait_for(answered.wait(), 30)
        began = time.monotonic()
        assert await asyncio.to_thread(net.kill, "miner", signal.SIGTERM) == 0
        assert time.monotonic() - began < 10.0
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    kinds = {reply.answer for reply in replies if not isinstance(reply.answer, Prediction)}
    assert kinds <= {Failure.REFUSED, Failure.ERROR, Failure.UNREACHABLE, Failure.TIMEOUT}
    assert {reply.status for reply in replies if reply.answer in (Failure.REFUSED, Failure.ERROR)} <= {429, 503}


async def ask_for_ever(net: Network, flood: Dendrite, replies: list[Reply], answered: asyncio.Event) -> None:
    """Sixteen pictures at a time; `answered` once there are predictions."""
    uid, row = row_of(net.saved(), net.hotkeys["miner"])
    assert row.axon is not None
    neuron = Neuron(uid, row.hotkey, row.coldkey, 0.0, False, Endpoint("127.0.0.1", row.axon.port))
    picture = encode_image(Media(np.zeros((1, 64, 64, 3), np.uint8)), 90)
    while True:
        replies += await flood.ask([(neuron, Query(Modality.IMAGE, picture, "image/jpeg"))] * 16, 5.0)
        if any(isinstance(reply.answer, Prediction) for reply in replies):
            answered.set()
