"""Decisions without Redis: no server is needed, none is there."""

from __future__ import annotations

from itertools import islice

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from ansf_platform.services.ports import LOOPBACK, free_port
from ratelimit.breaker import OPENED_BY, Breaker, waits
from ratelimit.buckets import Bucket
from ratelimit.degraded import MOST_BUCKETS, Local, share
from ratelimit.keys import Keys
from ratelimit.limiter import Limiter
from ratelimit.quota import LONGEST_PERIOD_US, Quota
from tests.ratelimit.engine.servers import Single, bucket, unique, until


class Ticking:
    now_us = 10**12

    def __call__(self):
        return self.now_us


@pytest.fixture
def away():
    """A limiter of a server that is not there."""
    client = redis.Redis(host=LOOPBACK, port=free_port())
    made = Limiter(client, workers=4, probe_every_s=60.0)
    yield made
    made.close()


def test_each_policy_says_what_passes(away):
    allowing = bucket("allowing", burst=1, without_redis="allow")
    denying = bucket("denying", burst=9, without_redis="deny")
    local = bucket("local", burst=8, without_redis="local")

    for found, expected in (
        ([away.acquire([allowing]) for _ in range(5)], [True] * 5),
        ([away.acquire([denying]) for _ in range(2)], [False] * 2),
        ([away.acquire([local]) for _ in range(4)], [True, True, False, False]),
    ):
        assert [decision.allowed for decision in found] == expected
        assert all(decision.degraded for decision in found)
    assert away.degraded


def test_one_bucket_that_denies_keeps_the_others_uncharged(away):
    local, denying = bucket("local", burst=8), bucket("denying", without_redis="deny")

    refused = away.acquire([local, denying])

    assert refused.violated == ("denying",)
    assert away.peek([local]).remaining == 2


def test_no_verb_raises_and_each_says_that_it_is_degraded(away):
    api, places = bucket(burst=8), bucket("places", limit=8, unit="concurrency")

    reservation = away.reserve([api], 1)
    assert reservation.decision.degraded
    assert away.settle(reservation, 0)
    assert not away.settle(reservation, 0)
    assert not away.settle("ansf.unknown", 1)
    assert away.take(api, 1).degraded
    assert all(grant.degraded for grant in away.take_many([(api, 1), (api, 1)]))
    assert [decision.degraded for decision in away.acquire_many([([api], 1)])] == [True]
    assert away.peek_many([api, places])[1].remaining == 2
    assert not away.refund([api], 1)
    assert not away.reset([api])
    with away.slot([places]) as one, away.slot([places]) as two, away.slot([places]) as three:
        assert [one.allowed, two.allowed, three.allowed] == [True, True, False]
        assert one.decision.degraded
    with away.slot([places]) as again:
        assert again.allowed


def test_a_shadow_denies_nothing_without_redis_either(away):
    shadow = bucket(burst=4, shadow=True)

    assert all(away.acquire([shadow]).allowed for _ in range(5))
    assert away.take(shadow, 50).granted == 50


def test_a_cost_beyond_the_burst_is_never_allowed_and_one_beyond_the_share_is_not_now(away):
    api = bucket(burst=8)

    assert away.acquire([api], 9).never
    assert not away.acquire([api], 5).allowed
    assert not away.acquire([api], 5).never


@given(
    limit=st.integers(1, 10_000),
    period_us=st.integers(1_000, 10**8),
    burst=st.integers(1, 1_000),
    workers=st.integers(1, 50),
    steps=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 10**7)), max_size=20),
)
def test_all_replicas_together_stay_within_the_limit(limit, period_us, burst, workers, steps):
    clock = Ticking()
    replicas = [Local(workers, clock) for _ in range(workers)]
    api = Bucket("p", "k", Quota(limit, period_us, burst))
    begun_us, admitted = clock.now_us, 0
    for replica in replicas:
        replica.state(api)  # from when it counts without Redis

    for at_most, later_us in steps:
        for replica in replicas:
            admitted += replica.take(api, at_most).granted
            admitted += replica.acquire([api], 1).allowed
        assert admitted <= burst + (clock.now_us - begun_us) * api.quota.rate / 1_000_000
        clock.now_us += later_us


def test_a_share_of_a_period_that_cannot_be_longer_is_one_of_the_limit():
    assert share(Quota(100, LONGEST_PERIOD_US, 100), 10) == Quota(10, LONGEST_PERIOD_US, 10)
    assert share(Quota(100, 1_000, 100), 10) == Quota(100, 10_000, 10)


@pytest.mark.parametrize("workers", [2, 16, 100])
def test_shares_of_one_a_month_are_together_one_a_month(workers):
    month = Quota(1, 31 * 86_400 * 1_000_000, 1)

    assert share(month, workers).rate * workers == month.rate


def test_subjects_beyond_the_bound_are_denied_until_others_have_refilled():
    clock = Ticking()
    local = Local(1, clock)
    quota = Quota.per_second(1, 1)
    for i in range(MOST_BUCKETS):
        assert local.acquire([Bucket("p", str(i), quota)], 1).allowed

    assert not local.acquire([Bucket("p", "one more", quota)], 1).allowed
    clock.now_us += 1_000_000
    assert local.acquire([Bucket("p", "one more", quota)], 1).allowed


@pytest.mark.valkey
@pytest.mark.fault
def test_what_was_admitted_without_redis_is_charged_when_it_is_back(fresh_valkey):
    valkey = fresh_valkey()
    limiter = Limiter(
        Single(valkey).client(), keys=Keys(unique()), workers=2, probe_every_s=0.02, budget_s=0.5
    )
    local, allowing = bucket("local", burst=100), bucket("allowing", without_redis="allow")
    limiter.acquire([local])
    valkey.kill()

    assert until_degraded(limiter, local) == 20
    reservation = limiter.reserve([local], 10)
    limiter.settle(reservation, 3)
    for _ in range(12):
        limiter.acquire([allowing])
    valkey.start()
    until(lambda: not limiter.degraded and not limiter.alone.owing)

    assert limiter.peek([local]).remaining == 100 - 23
    assert limiter.peek([allowing]).remaining == 5 - 12
    limiter.close()


def until_degraded(limiter, local):
    """Admit 20 units without Redis; a unit that Redis admitted before it died is not one."""
    admitted = 0
    while admitted < 20:
        decision = limiter.acquire([local])
        admitted += decision.allowed and decision.degraded
    return admitted


def test_a_limiter_without_a_server_never_looks_for_one():
    limiter = Limiter(None, workers=1)

    decisions = [limiter.acquire([bucket(burst=3)]) for _ in range(5)]

    assert [decision.allowed for decision in decisions] == [True, True, True, False, False]
    assert limiter._prober._thread is None


def test_redis_is_asked_for_soon_and_then_ever_more_rarely():
    asked = list(islice(waits(1.0), 11))

    assert all(0.75 * 0.01 * 2**n <= wait_s <= 1.25 * 0.01 * 2**n
               for n, wait_s in enumerate(asked[:7]))  # fmt: skip
    assert all(0.75 <= wait_s <= 1.25 for wait_s in asked[7:])
    assert max(islice(waits(0.005), 5)) < 0.0063


@pytest.mark.valkey
def test_whoever_asks_first_finds_a_connection(single):
    limiter = Limiter(single.client(), keys=Keys(unique()), budget_s=0.5)

    limiter.connect()

    assert len(limiter._wire._idle) == 1
    limiter.close()


def test_connecting_in_vain_opens_the_breaker(away):
    away.connect()

    assert away.degraded
    Limiter(None, workers=1).connect()


def test_only_failures_in_a_row_open_the_breaker():
    breaker = Breaker()
    for _ in range(3):
        for _ in range(OPENED_BY - 1):
            assert not breaker.failed(OSError())
        breaker.succeeded()
    assert not breaker.open

    opened = [breaker.failed(OSError()) for _ in range(OPENED_BY + 2)]

    assert opened == [False] * (OPENED_BY - 1) + [True, False, False]
    assert breaker.opened_at is not None
    breaker.succeeded()
    assert (breaker.open, breaker.opened_at) == (False, None)
