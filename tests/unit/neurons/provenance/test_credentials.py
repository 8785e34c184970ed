"""Content Credentials: signed files made here with certificates made here, whole, changed, and from elsewhere."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from neurons.provenance.clue import State
from neurons.provenance.credentials import FIX, credentials
from tests.unit.neurons.provenance.pictures import photograph, saved

PICTURE = saved(photograph()[:256, :256], quality=90)
EXTENSIONS = """
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[signer]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, emailProtection
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority (ca.pem), and a signer's chain and key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificates")
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "extensions").write_text(EXTENSIONS)
    curve = ("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out")
    for name, subject in (("ca", "/O=Test authority/CN=Test root"), ("signer", "/O=Test studio/CN=Test signer")):
        openssl(folder, *curve, f"{name}.ec")
        openssl(folder, "pkcs8", "-topk8", "-nocrypt", "-in", f"{name}.ec", "-out", f"{name}.key")
        openssl(folder, "req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
    days = ("-days", "30", "-extfile", "extensions", "-extensions")
    openssl(folder, "x509", "-req", "-in", "ca.csr", "-signkey", "ca.key", *days, "authority", "-out", "ca.pem")
    signed = ("x509", "-req", "-in", "signer.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
    openssl(folder, *signed, *days, "signer", "-out", "signer.pem")
    (folder / "chain.pem").write_text((folder / "signer.pem").read_text() + (folder / "ca.pem").read_text())
    return folder


def signed(folder: Path, kind: str = "trainedAlgorithmicMedia") -> bytes:
    """PICTURE with a manifest that says how it was made."""
    c2pa = pytest.importorskip("c2pa", reason=f"{FIX} is not there, which reads and writes manifests")
    action = {"action": "c2pa.created", "digitalSourceType": SOURCES + kind}
    manifest = {
        "claim_generator_info": [{"name": "Test maker", "version": "1.0"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    info = c2pa.C2paSignerInfo(
        alg=b"es256",
        sign_cert=(folder / "chain.pem").read_bytes(),
        private_key=(folder / "signer.key").read_bytes(),
        ta_url=None,
    )
    settings = {"verify": {"verify_after_sign": False}, "builder": {"thumbnail": {"enabled": False}}}
    target = io.BytesIO()
    with (
        c2pa.Context.from_dict(settings) as context,
        c2pa.Builder(json.dumps(manifest), context) as builder,
        c2pa.Signer.from_info(info) as signer,
    ):
        builder.sign(signer, "image/jpeg", io.BytesIO(PICTURE), target)
    return target.getvalue()


def test_a_file_without_any() -> None:
    """Nothing, without a reader being started or needed."""
    assert credentials(PICTURE, "image/jpeg").state is State.NOTHING


def test_without_a_reader_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has some where the extra is missing."""
    monkeypatch.setattr("neurons.provenance.credentials.find_spec", lambda name: None)
    clue = credentials(PICTURE + b"c2pa", "image/jpeg")
    assert clue.state is State.NOT_READ
    assert FIX in clue.says


def test_a_signed_file_tells_signer_and_maker(certificates: Path) -> None:
    """Whole, and by somebody whom no list names: valid, and it may be anybody."""
    clue = credentials(signed(certificates), "image/jpeg")
    facts = dict(clue.facts)
    assert clue.state is State.FOUND
    assert facts["validation"] == "Valid"
    assert "may be anybody" in clue.says
    assert "made by a trained model" in clue.says
    assert facts["signature: issuer"] == "Test studio"
    assert "Test maker" in facts["written by"]
    assert facts["digital source type"] == "trainedAlgorithmicMedia"


def test_a_signer_on_the_list_is_trusted(certificates: Path) -> None:
    """With the authority's certificate as the trust list."""
    clue = credentials(signed(certificates), "image/jpeg", certificates / "ca.pem")
    assert dict(clue.facts)["validation"] == "Trusted"
    assert "on the trust list" in clue.says


def test_a_camera_is_no_model(certificates: Path) -> None:
    """The account of a capture says nothing of a trained model."""
    clue = credentials(signed(certificates, "digitalCapture"), "image/jpeg")
    assert "trained model" not in clue.says
    assert dict(clue.facts)["digital source type"] == "digitalCapture"


def test_a_changed_file_does_not_hold(certificates: Path) -> None:
    """One byte of the picture is another: invalid, and the finding says what does not match."""
    data = bytearray(signed(certificates))
    data[-100] ^= 1
    clue = credentials(bytes(data), "image/jpeg", certificates / "ca.pem")
    assert clue.state is State.FOUND
    assert dict(clue.facts)["validation"] == "Invalid"
    assert "does not hold" in clue.says


def test_damaged_manifests_end_in_a_clue(certificates: Path) -> None:
    """Cut and overwritten within the manifest: told, and never an error."""
    data = signed(certificates)
    start = data.index(b"c2pa")
    for spoilt in (data[: start + 300], data[:start] + b"\xff" * 200 + data[start + 200 :], PICTURE + b"c2pa"):
        assert credentials(spoilt, "image/jpeg").state in State
