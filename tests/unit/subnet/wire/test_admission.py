"""Who may ask: the rule as a table, and the buckets it looks at."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.types import Neuron
from subnet.wire.admission import GUEST, Admitted, Bucket, Buckets, Policy, Refused, admission, weight

V = Neuron(0, "validator", "cold", 100.0, permit=True)
POLICY = Policy(min_stake=10.0)
LENIENT = Policy(require_permit=False, allow_unregistered=True, min_stake=0.0)

# who, metagraph, policy, tokens left -> status (200: admitted), a word of the reason
TABLE = [
    ("validator", {"validator": V}, POLICY, 1.0, 200, ""),
    ("validator", {"validator": V}, POLICY, 20.0, 200, ""),
    ("validator", None, POLICY, 20.0, 503, "metagraph"),
    ("validator", None, LENIENT, 20.0, 503, "metagraph"),
    ("validator", {}, POLICY, 20.0, 403, "registered"),
    ("stranger", {"validator": V}, POLICY, 20.0, 403, "registered"),
    ("", {"validator": V}, POLICY, 20.0, 403, "registered"),
    ("validator ", {"validator": V}, POLICY, 20.0, 403, "registered"),
    ("VALIDATOR", {"validator": V}, POLICY, 20.0, 403, "registered"),
    ("validator", {"validator": V}, replace(POLICY, blacklist=frozenset({"validator"})), 20.0, 403, "blacklisted"),
    ("validator", {"validator": V}, replace(POLICY, blacklist=frozenset({"another"})), 20.0, 200, ""),
    ("validator", {"validator": replace(V, permit=False)}, POLICY, 20.0, 403, "permit"),
    ("validator", {"validator": replace(V, permit=False)}, replace(POLICY, require_permit=False), 20.0, 200, ""),
    ("validator", {"validator": replace(V, stake=9.999)}, POLICY, 20.0, 403, "stake"),
    ("validator", {"validator": replace(V, stake=10.0)}, POLICY, 20.0, 200, ""),
    ("validator", {"validator": replace(V, stake=float("nan"))}, POLICY, 20.0, 403, "stake"),
    ("validator", {"validator": replace(V, stake=0.0)}, Policy(), 20.0, 200, ""),
    ("validator", {"validator": V}, POLICY, 0.999, 429, "too many"),
    ("validator", {"validator": V}, POLICY, 0.0, 429, "too many"),
    ("stranger", {}, LENIENT, 20.0, 200, ""),
    ("stranger", {}, replace(LENIENT, blacklist=frozenset({"stranger"})), 20.0, 403, "blacklisted"),
    ("stranger", {}, LENIENT, 0.0, 429, "too many"),
    # of several reasons the earlier one is told, and the rate is the last: it says nothing to strangers
    ("stranger", {}, replace(POLICY, blacklist=frozenset({"stranger"})), 0.0, 403, "registered"),
    ("validator", {"validator": replace(V, permit=False, stake=0.0)}, POLICY, 0.0, 403, "permit"),
]


@pytest.mark.parametrize(("hotkey", "metagraph", "policy", "tokens", "status", "word"), TABLE)
def test_who_may_ask(
    hotkey: str, metagraph: dict[str, Neuron] | None, policy: Policy, tokens: float, status: int, word: str
) -> None:
    """Every row of the rule gives its status and its reason."""
    verdict = admission(hotkey, metagraph, policy, tokens)
    if status == 200:
        assert verdict == Admitted()
    else:
        assert isinstance(verdict, Refused)
        assert verdict.status == status
        assert word in verdict.reason
        assert (verdict.retry_after is not None) == (status in (429, 503))


def test_too_many_says_when() -> None:
    """The time to wait is the time until one token is there."""
    verdict = admission("validator", {"validator": V}, Policy(rate=0.5), 0.25)
    assert isinstance(verdict, Refused)
    assert verdict.retry_after == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate", 0.0),
        ("rate", float("nan")),
        ("rate", -1.0),
        ("burst", 0.5),
        ("min_stake", -1.0),
        ("min_stake", float("inf")),
    ],
)
def test_a_policy_that_cannot_be_meant(field: str, value: float) -> None:
    """Settings that would let nobody in, or mean nothing, are refused by the field's name."""
    with pytest.raises(ValueError, match=field):
        replace(Policy(), **{field: value})


@given(
    steps=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60),
    rate=st.floats(0.1, 50.0),
    burst=st.floats(1.0, 30.0),
)
def test_a_bucket_never_gives_more_than_its_rate(steps: list[float], rate: float, burst: float) -> None:
    """Over any time t at most burst + rate * t requests pass, however they are spread."""
    now = [0.0]
    buckets = Buckets(Policy(rate=rate, burst=burst), lambda: now[0])
    passed = 0
    for step in steps:
        now[0] += step
        before = buckets.tokens("v")
        taken = buckets.take("v")
        assert taken == (before >= 1)
        passed += taken
    assert passed <= burst + rate * now[0] + 1e-6


@given(st.floats(0.0, 20.0), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_bucket_under_a_clock_that_jumps(tokens: float, at: float, now: float) -> None:
    """Time that runs backwards adds nothing, and no jump fills a bucket beyond its burst."""
    policy = Policy(rate=10.0, burst=20.0)
    later = Bucket(tokens, at).refilled(now, policy)
    assert tokens <= later.tokens <= 20.0
    assert later.at >= at
    if now <= at:
        assert later.tokens == tokens


def test_hotkeys_do_not_share_a_bucket() -> None:
    """A thousand hotkeys at ten requests a second each: every one gets its burst and no more."""
    now = [0.0]
    buckets = Buckets(Policy(rate=1.0, burst=2.0), lambda: now[0])
    passed = dict.fromkeys(range(1000), 0)
    for tick in range(10):
        now[0] = tick / 10
        for hotkey in passed:
            passed[hotkey] += buckets.take(str(hotkey))
    assert set(passed.values()) == {2}


def test_buckets_forget_who_is_quiet() -> None:
    """Memory follows who asks now, not everybody who ever asked."""
    now = [0.0]
    buckets = Buckets(Policy(rate=1.0, burst=2.0), lambda: now[0])
    for caller in range(20_000):
        now[0] += 0.1
        buckets.take(str(caller))
    assert len(buckets._held) <= 1100


@given(st.floats(0.0, 1e7), st.booleans(), st.floats(0.0, 1e4))
def test_weight_is_a_validators_stake(stake: float, permit: bool, least: float) -> None:
    """Only a permit with the least stake weighs, by the stake; everybody else weighs the same and less than any."""
    table = {"v": Neuron(0, "v", "cold", stake, permit=permit)}
    policy = Policy(require_permit=False, allow_unregistered=True, min_stake=least)
    heavy = permit and stake >= least
    assert weight("v", table, policy) == (max(1.0, stake) if heavy else GUEST)
    assert weight("stranger", table, policy) == weight("v", None, policy) == GUEST < 1.0
