"""The table of faults fits the code: each cure stands where it says, and each test that is to notice is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mutations import PAGE, Cure, Fault, check, markdown, quick, read_faults
from tests.places import ROOT

FAULTS = read_faults()


def test_every_fault_has_a_cure_and_a_name() -> None:
    """F1 to F22 in order, each with what happens, what is said, and tests."""
    assert [fault.name for fault in FAULTS] == [f"F{number}" for number in range(1, 23)]
    for fault in FAULTS:
        assert fault.cures
        assert all((fault.what, fault.conduct, fault.says, fault.tests))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_cure_stands_once_and_its_tests_are_there(fault: Fault) -> None:
    """After a change of the code or of a test's name: mend tests/faults.toml, and run tests.mutations on the fault."""
    for cure in fault.cures:
        assert (ROOT / cure.file).read_text(encoding="utf-8").count(cure.text) == 1, cure
        assert cure.without != cure.text
        assert cure.tests, cure
        for test in cure.tests:
            file, _, name = test.partition("[")[0].partition("::")
            assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), test


def test_the_page_has_the_table() -> None:
    """After a change of the table: python -m tests.mutations --page."""
    assert markdown(FAULTS) in PAGE.read_text(encoding="utf-8")


def test_a_test_that_notices_nothing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two tests of a cure the one that passes without it is told, and the code is as it was afterwards."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:randomly\n")
    code = "def twice(n):\n    return n + n\n"
    (tmp_path / "code_of.py").write_text(code)
    tests = (
        "from code_of import twice\n\ndef test_sees():\n    assert twice(2) == 4\n\ndef test_blind():\n    twice(2)\n"
    )
    (tmp_path / "test_it.py").write_text(tests)
    both = ("test_it.py::test_sees", "test_it.py::test_blind")
    assert not check(tmp_path, Fault("F0", "", "", "", (Cure("code_of.py", "n + n", "n", both),)))
    assert capsys.readouterr().out == "F0 code_of.py: NOT NOTICED by test_it.py::test_blind\n"
    assert check(tmp_path, Fault("F0", "", "", "", (Cure("code_of.py", "n + n", "n", both[:1]),)))
    assert (tmp_path / "code_of.py").read_text() == code


def test_quick_leaves_the_real_programs_out() -> None:
    """And cures that only they notice."""
    cures = (
        Cure("a", "b", "c", ("tests/e2e/x.py::t", "tests/unit/x.py::t")),
        Cure("a", "b", "c", ("tests/e2e/x.py::t",)),
    )
    assert quick(Fault("F0", "", "", "", cures)).tests == ("tests/unit/x.py::t",)
