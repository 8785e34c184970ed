"""`assay gateway` and its keys on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurons.gateway.settings import GatewaySettings
from neurons.gateway.store.keys import Keys
from neurons.gateway.store.opening import open_database
from neurons.gateway.store.sqlite import FILE
from neurons.gateway.webhooks import PREFIX
from subnet.errors import SettingsError
from tests.unit.neurons.running import Assay


def test_a_key_is_made_listed_and_revoked(assay: Assay, tmp_path: Path) -> None:
    """Its text is printed once; the list has everything but it."""
    made = assay("gateway", "key", "add", "shop", "--scopes", "image", "--rate", 5, "--state", tmp_path, "--json").json
    assert (made["name"], made["scopes"], made["rate"]) == ("shop", "image", 5.0)
    database = open_database(tmp_path)
    assert Keys(database).find(made["key"]) is not None
    listed = assay("gateway", "key", "list", "--state", tmp_path, "--json")
    assert [row["id"] for row in listed.json] == [made["id"]]
    assert made["key"].split("_", 2)[2] not in listed.out
    assert "shop" in assay("gateway", "key", "list", "--state", tmp_path).out
    assert assay("gateway", "key", "revoke", "shop", "--state", tmp_path).status == 0
    assert Keys(database).find(made["key"]) is None
    database.close()


def test_nothing_of_a_list_is_cut(assay: Assay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In 80 columns ids stand whole, dates and long names go on in the next line, and what no key has is left out."""
    monkeypatch.setenv("COLUMNS", "80")
    words = ("--scopes", "image", "--scopes", "video", "--scopes", "answers", "--state", tmp_path, "--json")
    made = [assay("gateway", "key", "add", name, *words).json for name in ("a", "name" * 16)]
    listed = assay("gateway", "key", "list", "--state", tmp_path).out
    assert all(each["id"] in listed for each in made)
    assert not {"None", "revoked", "webhook"} & set(listed.split())
    assert "…" not in listed
    assert max(map(len, listed.splitlines())) <= 80
    assay("gateway", "key", "revoke", "a", "--state", tmp_path)
    listed = assay("gateway", "key", "list", "--state", tmp_path).out
    assert "revoked" in listed
    assert "None" not in listed


def test_a_webhook_has_a_secret_of_its_own(assay: Assay, tmp_path: Path) -> None:
    """Printed beside the key; another key has another one."""
    words = ("--webhook", "https://example.org/hook", "--state", tmp_path, "--json")
    secrets = [assay("gateway", "key", "add", name, *words).json["webhook_secret"] for name in ("a", "b")]
    assert all(secret.startswith(PREFIX) for secret in secrets)
    assert secrets[0] != secrets[1]


def test_a_list_tells_no_secret_of_a_webhook(assay: Assay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands behind its path may open it."""
    monkeypatch.setenv("COLUMNS", "400")
    words = ("--webhook", "https://example.org/hook?token=very-secret", "--state", tmp_path, "--json")
    made = assay("gateway", "key", "add", "a", *words)
    for out in (made.out, *(assay("gateway", "key", "list", "--state", tmp_path, *j).out for j in ((), ("--json",)))):
        assert "example.org/hook?" in "".join(out.split())
        assert "very-secret" not in out


@pytest.mark.parametrize(
    ("words", "told"),
    [(("key", "add", "x", "--scopes", "audio"), "--scopes"), (("key", "add", "x", "--scopes", "image,video"), "once for each"), (("key", "add", "x", "--rate", "0"), "--rate"), (("key", "revoke", "x"), "KEY 'x'"), (("--netuid", "70000"), "--netuid"), (("--netuid", "1", "--gateway.miners", "9"), "--gateway.miners"), (("--netuid", "1", "--gateway.confidence", "0.4"), "--gateway.confidence"), (("--netuid", "1", "--gateway.ip", "here"), "--gateway.ip"), (("--netuid", "1", "--gateway.database", "mysql://x"), "--gateway.database"), (("key", "list", "--gateway.database", "x.db"), "--gateway.database"), (("--netuid", "1", "--gateway.urls", "ftp"), "--gateway.urls"), (("--netuid", "1", "--gateway.least", "6"), "--gateway.least"), (("--netuid", "1", "--gateway.keep_answers", "0"), "--gateway.keep_answers"), (("--netuid", "1", "--gateway.database", "x"), "postgresql://HOST/NAME"), *((("key", "add", "x", "--webhook", hook), "--webhook") for hook in ("http://x:99999/", "http://x:0/", "http://x y/", "http://x/\n", "http:///x", f"http://{'a' * 64}.org/", "ftp://x/")), (("--netuid", "1", "--gateway.megabytes", "100"), "--gateway.megabytes")],
)  # fmt: skip
def test_wrong_words_are_told_by_their_flag(assay: Assay, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    """One line, status 2."""
    ran = assay("gateway", *words, "--state", tmp_path)
    assert (ran.status, told in ran.message) == (2, True), ran


def test_a_damaged_file_of_keys(assay: Assay, tmp_path: Path) -> None:
    """Status 3 and its name; it is left as it is."""
    (tmp_path / FILE).write_bytes(b"nothing of ours" * 1000)
    ran = assay("gateway", "key", "list", "--state", tmp_path)
    assert (ran.status, FILE in ran.message) == (3, True)
    assert (tmp_path / FILE).read_bytes().startswith(b"nothing of ours")


def test_not_a_number() -> None:
    """NaN is outside of every range."""
    with pytest.raises(SettingsError, match="timeout"):
        GatewaySettings(timeout=float("nan"))
