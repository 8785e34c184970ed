"""A stopped validator's state as one file and back, and what an old copy may not do."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest
import structlog

from neurons.commands.evidence.state import export, import_
from neurons.validator.low_water import MARGIN, check_low_water
from subnet.errors import SettingsError, StateError
from subnet.evidence.journal import Journal
from subnet.evidence.state import StateStore
from subnet.media.pool.ledger import Ledger
from tests.unit.neurons.commands.evidence.rig import NETUID, ROUNDS, VALIDATOR, Story, tell
from tests.unit.subnet.evidence.journals import write_journal


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("state-story"))


def make_state(folder: Path) -> Path:
    """A stopped validator's state, its journal in segments."""
    write_journal(folder / "journal.db", 40, segment_bytes=4000)
    (folder / "seed").write_text("12345\n")
    with Ledger(folder / "ledger.db") as ledger:
        ledger.claim("a" * 32, ["alice"], 1.0)
    return folder


def test_a_state_comes_back_whole(tmp_path: Path) -> None:
    """Journal, segments, ledger and secrets, for the owner's eyes only."""
    folder = make_state(tmp_path / "state")
    export(folder, tmp_path / "state.tar")
    import_(tmp_path / "state.tar", tmp_path / "new")
    assert (tmp_path / "state.tar").stat().st_mode & 0o077 == 0
    assert (tmp_path / "new" / "seed").read_text() == "12345\n"
    before, after = Journal(folder / "journal.db"), Journal(tmp_path / "new" / "journal.db")
    assert (before.tip, StateStore(before).state) == (after.tip, StateStore(after).state)
    assert list(before.entries()) == list(after.entries())
    before.close()
    after.close()
    with Ledger(tmp_path / "new" / "ledger.db") as ledger:
        assert ledger.blocked(["a" * 32], ["alice"]) == {"a" * 32}


def test_a_running_validator_is_not_exported(tmp_path: Path) -> None:
    """Its journal is locked: a copy of it would be old at once."""
    folder = make_state(tmp_path / "state")
    running = Journal(folder / "journal.db")
    with pytest.raises(StateError, match="is in use by the process"):
        export(folder, tmp_path / "state.tar")
    running.close()
    assert not (tmp_path / "state.tar").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Neither a file by an export nor a folder by an import."""
    folder = make_state(tmp_path / "state")
    export(folder, tmp_path / "state.tar")
    with pytest.raises(SettingsError, match="there already"):
        export(folder, tmp_path / "state.tar")
    with pytest.raises(SettingsError, match="new or empty"):
        import_(tmp_path / "state.tar", folder)


@pytest.mark.parametrize("where", [0.3, 0.9])
def test_a_damaged_archive_is_refused(tmp_path: Path, where: float) -> None:
    """Cut off, or with a byte changed: an error that names the archive."""
    export(make_state(tmp_path / "state"), tmp_path / "state.tar")
    data = bytearray((tmp_path / "state.tar").read_bytes())
    (tmp_path / "cut.tar").write_bytes(data[: int(where * len(data))])
    with pytest.raises(StateError, match=r"cut\.tar"):
        import_(tmp_path / "cut.tar", tmp_path / "one")
    with tarfile.open(tmp_path / "state.tar") as tar:
        info = tar.getmember("journal.db")
    data[info.offset_data + 100] ^= 1
    (tmp_path / "bad.tar").write_bytes(data)
    with pytest.raises(StateError, match=r"journal\.db is damaged"):
        import_(tmp_path / "bad.tar", tmp_path / "two")
    assert not (tmp_path / "two").exists()


def test_an_archive_writes_only_into_its_folder(tmp_path: Path) -> None:
    """Names that lead out of it are refused."""
    export(make_state(tmp_path / "state"), tmp_path / "state.tar")
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        (tmp_path / "state.json").write_text(
            json.dumps(
                {"format": "assay-state/1", "entries": 1, "tip": "0" * 64, "files": {"journal.db": "", "../x": ""}}
            )
        )
        tar.add(tmp_path / "state.json", "state.json")
    with pytest.raises(StateError, match=r"names \.\./x"):
        import_(tmp_path / "evil.tar", tmp_path / "new")


ZERO = "0" * 64
HOSTILE: dict[str, object] = {
    "a name of nothing": {"": ZERO},
    "the folder itself": {".": ZERO},
    "below a file": {"journal.db/x": ZERO},
    "a long name": {"a" * 300: ZERO},
    "an absolute name": {"/etc/passwd": ZERO},
    "a name with a zero": {"a\0b": ZERO},
    "half a surrogate": {"\ud800": ZERO},
    "a number for a sum": {"x": 5},
}


@pytest.mark.parametrize(
    "contents",
    [{"files": {"journal.db": ZERO, **names}} for names in HOSTILE.values() if isinstance(names, dict)]
    + [{"files": wrong} for wrong in (5, None, [1, "journal.db"], ["journal.db"], "journal.db")]
    + [{"entries": "5"}, {"entries": None}, {"tip": 5}, {"tip": None}, {"format": [1]}, {"format": "assay-state/2"}],
)
def test_contents_that_cannot_be(tmp_path: Path, contents: dict[str, object]) -> None:
    """Any JSON for what an archive says of itself is one of our errors, and nothing is left behind."""
    plain = {"format": "assay-state/1", "entries": 1, "tip": ZERO, "files": {"journal.db": ZERO}, **contents}
    packed(tmp_path, json.dumps({name: value for name, value in plain.items() if value is not None}))


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{", "5", "\x00", '{"entries":' + "1" * 5000 + "}"])
def test_contents_that_are_no_object(tmp_path: Path, text: str) -> None:
    """Deep, cut off, or something else."""
    packed(tmp_path, text)


def packed(folder: Path, contents: str) -> None:
    """An archive that says this of itself is refused, and nothing is left behind."""
    (folder / "state.json").write_text(contents)
    with tarfile.open(folder / "evil.tar", "w") as tar:
        tar.add(folder / "state.json", "state.json")
    with pytest.raises(StateError, match=r"evil\.tar"):
        import_(folder / "evil.tar", folder / "new")
    assert sorted(path.name for path in folder.iterdir()) == ["evil.tar", "state.json"]


def test_an_archive_says_whose_it_is(story: Story, tmp_path: Path) -> None:
    """It is not put into another validator's folder, and not taken for another's."""
    shutil.copytree(story.journal.parent, tmp_path / "state", ignore=shutil.ignore_patterns("pool", "kept"))
    export(tmp_path / "state", tmp_path / "state.tar")
    with tarfile.open(tmp_path / "state.tar") as tar:
        file = tar.extractfile("state.json")
        assert file is not None
        said = json.load(file)
    assert (said["netuid"], said["hotkey"]) == (NETUID, VALIDATOR.ss58_address)
    with pytest.raises(SettingsError, match=f"of another validator.*validator-{NETUID}-{VALIDATOR.ss58_address}"):
        import_(tmp_path / "state.tar", tmp_path / f"validator-{NETUID + 1}-{VALIDATOR.ss58_address}")
    import_(tmp_path / "state.tar", tmp_path / f"validator-{NETUID}-{VALIDATOR.ss58_address}")


async def test_an_old_copy_is_not_played_on(story: Story, tmp_path: Path) -> None:
    """The chain holds a later entry's hash: refused, or, when told so, continued where no run can have been."""
    shutil.copytree(story.journal.parent, tmp_path / "now")
    now = Journal(tmp_path / "now" / "journal.db")
    await check_low_water(story.chain(), VALIDATOR.ss58_address, now, StateStore(now), structlog.get_logger())
    now.close()
    old = Journal(tmp_path / "old" / "journal.db")
    store = StateStore(old)
    for entry in story.entries[:8]:
        old.append(entry.kind, entry.body)
    with pytest.raises(StateError, match=r"has 8 entries, ends before that.*--neuron\.forward"):
        await check_low_water(story.chain(), VALIDATOR.ss58_address, old, store, structlog.get_logger())
    await check_low_water(story.chain(), VALIDATOR.ss58_address, old, store, structlog.get_logger(), forward=True)
    assert store.state.next_round > MARGIN + ROUNDS
    old.close()


async def test_another_journal_is_not_played_on(story: Story, tmp_path: Path) -> None:
    """As long as the committed one, and not it."""
    other = Journal(tmp_path / "other" / "journal.db")
    store = StateStore(other)
    for entry in story.entries:
        other.append(entry.kind, entry.body.replace(":", ": ", 1))
    with pytest.raises(StateError, match="has another one there"):
        await check_low_water(story.chain(), VALIDATOR.ss58_address, other, store, structlog.get_logger())
    other.close()
