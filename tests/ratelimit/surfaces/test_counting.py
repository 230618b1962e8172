"""Every verb of the process's limiter is counted, and nothing is counted twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from ratelimit import counting, definitions, policies, pool, selectors
from ratelimit.buckets import Bucket
from ratelimit.counting import policy_identity
from ratelimit.decision import Decision, Grant
from ratelimit.definitions import COMMAND
from ratelimit.lease import LeasedLimiter
from ratelimit.quota import Quota
from ratelimit.spec import spec_of
from ratelimit.subject import Subject

SLOW = Quota(1, 10**9, 10)
NAME = policy_identity("", "counted")


def bucket(**given):
    return Bucket("counted", "all", given.pop("quota", SLOW), **given)


@pytest.fixture
def verbs(server, settings):
    """What was counted of one verb, called on an empty bucket with the process's limiter."""
    settings.ANSF = settings.ANSF | {"LIMIT_BUDGET_MS": 5000}

    def counted(*uses):
        for use in uses:
            use(pool.limiter())
        assert counting.TALLY.flush()
        told = {name: server.hget(counting.TOTALS, f"{NAME}|{name}") for name in counting.OUTCOMES}
        return {name: int(units) for name, units in told.items() if units and units != "0"}

    return counted


@pytest.mark.parametrize(
    ("use", "found"),
    [
        (lambda limiter: limiter.acquire([bucket()], 3), {"allowed": 3}),
        (lambda limiter: limiter.acquire([bucket()], 11), {"denied": 11}),
        (lambda limiter: limiter.acquire([bucket(shadow=True)], 11), {"shadowed": 11}),
        (lambda limiter: limiter.peek([bucket()]), {}),
        (lambda limiter: limiter.acquire_many([([bucket()], 8), ([bucket()], 8)]),
         {"allowed": 8, "denied": 8}),
        (lambda limiter: limiter.take(bucket(), 4), {"allowed": 4}),
        (lambda limiter: limiter.take_many([(bucket(), 8), (bucket(), 8)]), {"allowed": 10}),
        (lambda limiter: limiter.take(bucket(shadow=True), 12), {"allowed": 10, "shadowed": 2}),
        (lambda limiter: limiter.refund([bucket()], 3), {"returned": 3}),
        (lambda limiter: limiter.refund_many([(bucket(), 2), (bucket(), 3)]), {"returned": 5}),
        (lambda limiter: limiter.charge_many([(bucket(), 12)]), {"allowed": 12}),
    ],
)  # fmt: skip
def test_a_verb_is_counted_once(verbs, use, found):
    assert verbs(use) == found


@pytest.mark.parametrize(
    ("actual", "found"),
    [(2, {"allowed": 5, "returned": 3}), (7, {"allowed": 7}), (0, {"allowed": 5, "returned": 5})],
)
def test_a_settlement_is_counted_as_what_it_changes(verbs, actual, found):
    def reserve_and_settle(limiter):
        held = limiter.reserve([bucket()], 5)
        return [limiter.settle(held, actual) for _ in range(2)]

    assert verbs(reserve_and_settle) == found


def test_a_place_is_counted_when_it_is_given_and_when_it_is_not(verbs):
    one = bucket(quota=Quota(1, 30_000_000, 1), unit="concurrency")

    def two_of_one(limiter):
        with limiter.slot([one]) as first, limiter.slot([one]) as second:
            assert (first.allowed, second.allowed) == (True, False)

    assert verbs(two_of_one) == {"allowed": 1, "denied": 1}


def test_of_a_lease_what_was_spent_is_allowed_less_returned(server):
    fast = Bucket("counted", "all", Quota(1, 10**9, 1000))
    leased = LeasedLimiter(pool.limiter(), most=10)
    for _ in range(25):
        leased.acquire([fast])
    leased.close()
    counting.TALLY.flush()

    allowed, returned = (
        int(server.hget(counting.TOTALS, f"{NAME}|{name}") or 0) for name in ("allowed", "returned")
    )
    assert allowed - returned == 25


def test_a_grant_of_nothing_is_a_denial_with_its_wait(server):
    counting.count_grant(bucket(), Grant(0, 1.5))
    assert counting.TALLY.flush()

    assert server.hget(counting.TOTALS, f"{NAME}|denied") == "1"
    assert '"retry_after": 1.5' in server.get(counting.denial_key(NAME))


def test_what_is_deleted_or_renamed_leaves_no_counts(server, limit, tenant):
    rows = [limit(name, 5, tenant=tenant) for name in ("first", "second")]
    for row in rows:
        [counted] = policies.buckets_for([row.name], Subject(tenant=str(tenant.pk)))
        pool.limiter().acquire([counted])
    assert counting.TALLY.flush()
    assert len(server.hkeys(counting.TOTALS)) == 2

    definitions.delete(rows[0], COMMAND)
    definitions.update(rows[1], replace(spec_of(rows[1]), name="third"), COMMAND)

    assert server.hkeys(counting.TOTALS) == []
    assert [key for key in server.keys(f"{counting.PREFIX}*") if ":s:" in key] == []


def test_what_a_probe_asks_is_little_and_in_portions(server, limit, monkeypatch):
    monkeypatch.setattr(selectors, "AT_ONCE", 2)
    rows = [limit(f"p{number}", 5) for number in range(5)]
    for row in rows:
        [counted] = policies.buckets_for([row.name], Subject(tenant="1"))
        counting.count([counted], Decision(True, 1, 5, None, 0.0, degraded=row.name < "p3"))
    assert counting.TALLY.flush()
    before = server.info("commandstats")

    assert selectors.degraded_percent(rows) == 60.0

    calls = Counter({name: stat["calls"] for name, stat in server.info("commandstats").items()})
    calls.subtract({name: stat["calls"] for name, stat in before.items()})
    assert calls["cmdstat_hgetall"] == 10
    assert calls["cmdstat_zrevrange"] == calls["cmdstat_hmget"] == 0
