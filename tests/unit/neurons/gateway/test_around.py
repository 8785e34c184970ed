"""Keys in addresses are found however they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurons.gateway.requests.around import has_key

KEY = "assay_0123456789ab_" + "x" * 43


def scope(path: str, query: str = "") -> dict[str, object]:
    return {"raw_path": path.encode(), "query_string": query.encode()}


@pytest.mark.parametrize(
    ("path", "query"),
    [("/" + KEY, ""), ("/", f"q={KEY}"), ("/", f"{KEY}"), ("/", "key="), ("/", "Access_Token=1"), ("/", "a=1&api-key=2"), ("/" + KEY.replace("a", "%61"), ""), ("/", KEY.replace("_", "%255F"))],
)  # fmt: skip
def test_keys_are_found(path: str, query: str) -> None:
    """As a path, as any parameter, as a parameter of such a name, percent-encoded once or twice."""
    assert has_key(scope(path, query))


@pytest.mark.parametrize(("path", "query"), [("/v1/detections", ""), ("/v1/jobs/abc", "a=1"), ("/assay", "monkey=1")])
def test_other_addresses_pass(path: str, query: str) -> None:
    """Nothing else is taken for one."""
    assert not has_key(scope(path, query))


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_address_is_looked_at(path: bytes, query: bytes) -> None:
    """Whatever bytes a server lets through."""
    assert has_key({"raw_path": path, "query_string": query}) in (True, False)
