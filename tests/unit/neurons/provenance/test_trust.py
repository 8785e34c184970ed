"""Files of certificates: taken whole, or refused at the start with the flag and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurons.provenance.trust import anchors
from subnet.errors import SettingsError
from tests.unit.neurons.provenance.pictures import photograph, saved
from tests.unit.neurons.provenance.test_credentials import certificates
from tests.unit.neurons.running import Assay

__all__ = ["certificates"]


def test_certificates_are_taken_without_what_is_between(certificates: Path, tmp_path: Path) -> None:
    """Comments in any encoding, lines that end as on Windows, and keys, are no certificates."""
    authority = (certificates / "ca.pem").read_bytes()
    chain = (certificates / "chain.pem").read_bytes()
    file = tmp_path / "trust.pem"
    file.write_bytes("# Müller\n".encode("latin-1") + authority.replace(b"\n", b"\r\n") + b"\n# end\n" + chain)
    assert anchors(file).count("BEGIN CERTIFICATE") == 3
    assert "ller" not in anchors(file)


@pytest.mark.parametrize(
    "kind", ["absent", "a folder", "a picture", "empty", "a key", "cut", "spoilt", "one of two spoilt"]
)
@pytest.mark.parametrize("command", ["detect", "web"])
def test_what_is_none_is_refused_at_the_start(
    certificates: Path, tmp_path: Path, assay: Assay, command: str, kind: str
) -> None:
    """By every program with the flag, before a detector is loaded or a port is listened on."""
    authority = (certificates / "ca.pem").read_bytes()
    spoilt = authority[:28] + b"AAAA" + authority[32:]  # the first bytes of what is encoded
    data = {
        "a picture": saved(photograph()[:64, :64], "PNG"),
        "empty": b"",
        "a key": (certificates / "ca.key").read_bytes(),
        "cut": authority[:200],
        "spoilt": spoilt,
        "one of two spoilt": authority + spoilt,
    }
    file = tmp_path / "trust.pem"
    if kind == "a folder":
        file.mkdir()
    elif kind != "absent":
        file.write_bytes(data[kind])
    with pytest.raises(SettingsError, match="--trust"):
        anchors(file)
    ran = assay(command, *(["--try"] if command == "web" else [certificates / "ca.pem"]), "--trust", file)
    assert (ran.status, f"--trust {file}" in ran.message, "in PEM" in ran.message) == (2, True, True), ran.err
