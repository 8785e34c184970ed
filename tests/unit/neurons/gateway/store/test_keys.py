"""API keys: hashed at rest, with scopes, rates and quotas that hold across processes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurons.gateway.store.keys import DAY, Keys, Scope, Spent
from subnet.errors import SettingsError
from tests.unit.neurons.gateway.store.stores import Store

BOTH = frozenset((Scope.IMAGE, Scope.VIDEO))


def test_a_key_is_found_by_its_text_alone(store: Store, keys: Keys) -> None:
    """Neither another secret, nor a part, nor other letters open what the key does."""
    key, text = keys.add("shop", BOTH, 60, 100)
    assert keys.find(text) == key
    wrong = [
        text[:-1],
        text + "a",
        text.upper(),
        f" {text}",
        "",
        "assay_",
        text[:-1] + ("a" if text[-1] != "a" else "b"),
    ]
    assert [keys.find(each) for each in wrong] == [None] * len(wrong)


def test_revoked_is_for_good_and_at_once(store: Store, keys: Keys) -> None:
    """Another process that has the file open notices with the next request; names stay taken."""
    key, text = keys.add("shop", BOTH, 60, 100)
    other = Keys(store.open())
    assert other.find(text) is not None
    assert keys.revoke("shop").id == key.id
    assert other.find(text) is None
    assert other.named(key.id) is None
    assert [each.revoked for each in keys.all()] == [store.clock.time]
    with pytest.raises(SettingsError, match="in use"):
        keys.add("shop", BOTH, 60, 100)
    with pytest.raises(SettingsError, match="nobody"):
        keys.revoke("nobody")


def test_rates_are_shared_by_processes(store: Store, keys: Keys) -> None:
    """Two gateways over one file give no more than one would, and say when to come again."""
    key, _ = keys.add("shop", BOTH, 6, 100)
    other = Keys(store.open())
    for turn in range(6):
        (other if turn % 2 else keys).admit(key)
    with pytest.raises(Spent, match="6 requests a minute") as spent:
        keys.admit(key)
    assert spent.value.retry_after == pytest.approx(10.0)
    store.clock.time += 10.0
    other.admit(key)


def test_a_quota_is_for_a_day(store: Store, keys: Keys) -> None:
    """It ends at midnight UTC, is given back for what came to nothing, and a clock that goes back gives nothing. Once
    it is used up only requests that may have been answered before are let in."""
    key, text = keys.add("shop", BOTH, 6000, 2)
    day = keys.spend(key)
    keys.spend(key)
    keys.give_back(key, day)
    keys.spend(key)
    for act in (keys.spend, keys.admit):
        with pytest.raises(Spent, match="all 2 requests") as spent:
            act(key)
        assert spent.value.retry_after == pytest.approx(DAY - 3600)
    keys.admit(key, fresh=False)
    assert [each.spent for each in keys.all()] == [2]
    store.clock.time -= 1800
    with pytest.raises(Spent):
        keys.spend(key)
    store.clock.time += DAY
    assert [each.spent for each in keys.all()] == [0]
    keys.admit(key)
    keys.spend(key)
    found = keys.find(text)
    assert found is not None
    assert found.spent == 1


def test_a_clock_that_was_wrong_for_a_while(store: Store, keys: Keys) -> None:
    """What was counted on a day that has not come yet counts on that day, and on no other."""
    key, _ = keys.add("shop", BOTH, 6000, 2)
    store.clock.time += 10 * DAY
    ahead = keys.spend(key)
    store.clock.time -= 10 * DAY
    for _ in range(3):
        assert [keys.spend(key) < ahead for _ in range(2)] == [True, True]
        with pytest.raises(Spent) as spent:
            keys.spend(key)
        assert spent.value.retry_after == pytest.approx(DAY - 3600)
        store.clock.time += DAY
    store.clock.time += 7 * DAY
    keys.spend(key)
    with pytest.raises(Spent):
        keys.spend(key)


def test_what_is_given_back_after_midnight(store: Store, keys: Keys) -> None:
    """It is of the day on which it was counted: the new day has no file more than its own."""
    key, _ = keys.add("shop", BOTH, 6000, 1)
    store.clock.time += DAY - 3601
    late = keys.spend(key)
    store.clock.time += 2
    keys.spend(key)
    keys.give_back(key, late)
    with pytest.raises(Spent):
        keys.spend(key)


@settings(max_examples=10)
@given(st.lists(st.floats(0, 30), min_size=1, max_size=40), st.floats(1, 600))
def test_no_more_than_rate_and_burst(tmp_path_factory: pytest.TempPathFactory, waits: list[float], rate: float) -> None:
    """Whatever the pauses between requests, those let through are at most the burst and what came in since."""
    store = Store(tmp_path_factory.mktemp("keys"))
    keys = Keys(store.open())
    key, _ = keys.add("shop", BOTH, rate, 10**6)
    begin, passed = store.clock.time, 0
    for wait in waits:
        store.clock.time += wait
        with suppress(Spent):
            keys.admit(key)
            passed += 1
    assert passed <= max(1.0, min(10.0, rate), rate / 6) + (store.clock.time - begin) * rate / 60 + 1e-6
    store.close()


@pytest.mark.parametrize(
    ("change", "field"),
    [({"name": ""}, "NAME"), ({"name": "a\nb"}, "NAME"), ({"scopes": frozenset()}, "--scopes"), ({"scopes": frozenset([Scope.ANSWERS])}, "--scopes"), ({"rate": 0}, "--rate"), ({"rate": float("nan")}, "--rate"), ({"quota": 0}, "--quota"), ({"webhook": "ftp://x"}, "--webhook"), ({"webhook": "https://user:password@x"}, "--webhook"), ({"webhook": "https://[x"}, "--webhook")],
)  # fmt: skip
def test_wrong_values_are_named(keys: Keys, change: dict[str, object], field: str) -> None:
    """Each is told by the flag that gives it, and nothing is stored."""
    values = {"name": "shop", "scopes": BOTH, "rate": 60.0, "quota": 10, "webhook": "", **change}
    with pytest.raises(SettingsError, match=field):
        keys.add(**values)  # type: ignore[arg-type]
    assert keys.all() == []
