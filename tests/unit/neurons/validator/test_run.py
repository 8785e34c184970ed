"""What a validator opens before its first round."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from neurons.validator.run import open_ledger
from subnet.evidence.journal import Journal
from tests.unit.subnet.evidence.journals import write_journal


@pytest.mark.parametrize("damage", ["deleted", "emptied"])
def test_a_ledger_that_is_gone_is_told(tmp_path: Path, damage: str) -> None:
    """Beside a journal that has rounds; a first start, and one that finds its ledger, say nothing."""
    path, log = tmp_path / "ledger.db", structlog.get_logger()
    write_journal(tmp_path / "journal.db", 3)
    journal, new = Journal(tmp_path / "journal.db"), Journal(tmp_path / "new" / "journal.db")
    with capture_logs() as lines:
        open_ledger(path, new, log).close()
        open_ledger(path, journal, log).close()
    assert not lines
    path.unlink()
    if damage == "emptied":
        path.touch()
    with capture_logs() as lines:
        open_ledger(path, journal, log).close()
    (told,) = lines
    assert (told["event"], told["path"]) == ("the ledger is missing, and begins anew", str(path))
    assert "whom items were asked is forgotten" in told["why"]
    for each in (journal, new):
        each.close()
