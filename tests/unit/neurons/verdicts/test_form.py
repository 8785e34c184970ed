"""One file out of a form, or why there is none."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurons.verdicts.form import file_in, is_form
from tests.places import ROOT

FORM = "multipart/form-data; boundary=x"


def part(name: str = "file", data: bytes = b"data", more: str = "") -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + data + b"\r\n"


@given(st.binary(max_size=200).filter(lambda data: b"--x" not in data))
def test_bytes_come_as_they_were_sent(data: bytes) -> None:
    """Whatever is in them; with the name, or none."""
    assert file_in(FORM, part(data=data) + b"--x--\r\n") == ("", data)
    assert file_in(FORM, part(data=data, more='; filename="a.png"') + b"--x--\r\n") == ("a.png", data)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"--x--\r\n", "is missing"),
        (part() + part() + b"--x--\r\n", "stands there twice"),
        (part("other") + b"--x--\r\n", "the field 'other' is not known"),
        (part().replace(b"\r\n\r\n", b"\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n"), "form within a form"),
        (b"", "."),
        (b"nonsense", "."),
    ],
)
def test_what_is_no_form_with_one_file(body: bytes, why: str) -> None:
    """Is said in one short line."""
    with pytest.raises(ValueError, match=why) as caught:
        file_in(FORM, body)
    assert re.fullmatch(r".{1,100}", str(caught.value))


def test_types_of_forms() -> None:
    """In any case, with parameters or without."""
    assert is_form("Multipart/Form-Data; boundary=x")
    assert not is_form("application/json")
    assert not is_form("")


PROGRAM = """
from neurons.verdicts.form import file_in
for name in ("Anna Schmidt HIV test.png", '"Anna', "x; filename*=Anna''%ff", "Anna=HIV; =;"):
    body = f'--x\\r\\nContent-Disposition: form-data; name="file"; filename={name}\\r\\n\\r\\nx\\r\\n--x--\\r\\n'
    try:
        file_in("multipart/form-data; boundary=x", body.encode())
    except ValueError:
        print("refused")
print("done")
"""


def test_names_of_files_are_not_warned_of() -> None:
    """A name that is not quoted is a client's own business: it reaches no log by a library's warning."""
    ran = subprocess.run(
        [sys.executable, "-W", "always", "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.endswith("done\n")
    assert "Anna" not in ran.stderr
