"""What a stranger proves with public files and the chain alone, and what no validator can get past that."""

from __future__ import annotations

from pathlib import Path

import pytest

from subnet.evidence.findings import text_of
from tests.unit.neurons.commands.evidence.rig import EPOCHS, Story, checked, published, tell


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("story"))


def test_honest_evidence_is_proven(story: Story, tmp_path: Path) -> None:
    """Every weight, every answer, every plan and every variant of the epochs that ended."""
    result = checked(story, published(story, story.entries, tmp_path))
    print(text_of(result))
    assert result.false == ()
    proven = dict(result.proven)
    assert proven["settings of weights follow from the scores"] == EPOCHS
