"""What a request says of whom it is for: addresses, localhost and names that were given, and nobody else's."""

from __future__ import annotations

import pytest

from subnet.errors import SettingsError
from subnet.wire.http.hosts import ours, own_names


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:8092", "[::1]", "[::1]:8092", "192.168.1.5:80", "[fe80::1]:1"),
        *("localhost", "localhost:8092", "LocalHost", "localhost.", "a.localhost:1", "assay.example", "Assay.Example:443"),
    ],
)  # fmt: skip
def test_addresses_localhost_and_given_names_are_ours(host: str) -> None:
    """With and without a port, in any case of letters: no stranger can have a page at any of them."""
    assert ours([host], {"assay.example"})


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8092", "127.0.0.1.evil.example", "localhost.evil.example", "notlocalhost"),
        *("", "[evil.example]", "1.2.3", "127.0.0.1@evil.example", "evil.example:127.0.0.1", "x.assay.example"),
    ],
)  # fmt: skip
def test_other_names_are_not(host: str) -> None:
    """Also what looks like an address, and names below those that were given."""
    assert not ours([host], {"assay.example"})
    assert not ours(["127.0.0.1", host], {"assay.example"})


def test_who_says_none_is_no_browser() -> None:
    """HTTP/1.0 has no Host, and a page of a stranger cannot leave it out."""
    assert ours([])


def test_names_are_names() -> None:
    """An address with a scheme or a port is told what to give instead."""
    assert own_names(("Assay.Example",), "--host") == {"assay.example"}
    for wrong in ("https://assay.example", "assay.example:443", "", "a b", "*"):
        with pytest.raises(SettingsError, match="--host"):
            own_names((wrong,), "--host")
