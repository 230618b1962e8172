from __future__ import annotations

import math
import threading
from collections import Counter

import pytest

from ratelimit.buckets import Bucket
from ratelimit.keys import Keys
from ratelimit.lease import IDLE_S, LeasedLimiter
from ratelimit.limiter import Limiter
from ratelimit.quota import Quota
from tests.ratelimit.engine.servers import PATIENT_S, TEST_BUILD, bucket, unique
from tests.ratelimit.engine.test_reference import SECOND_US, TestClock

pytestmark = pytest.mark.valkey


class Counting:
    """A limiter that counts what it is asked."""

    def __init__(self, limiter):
        self._limiter = limiter
        self.asked = Counter()

    def __getattr__(self, name):
        def ask(*args, **named):
            self.asked[name] += 1
            return getattr(self._limiter, name)(*args, **named)

        return ask


class Ticking:
    """A monotonic clock that the test moves."""

    now = 1_000.0

    def __call__(self):
        return self.now


def test_a_busy_lease_grows_until_a_round_trip_pays_for_many_decisions(limiter):
    counting = Counting(limiter)
    leased = LeasedLimiter(counting, most=100, clock=Ticking())
    wide = bucket(limit=1_000, burst=10_000)

    decisions = [leased.acquire([wide]) for _ in range(2_000)]

    assert all(decision.allowed for decision in decisions)
    assert counting.asked["take"] <= 27  # 2, 4, 8 … 64, then hundreds
    leased.close()
    assert limiter.peek([wide]).remaining == 8_000


def test_no_lease_is_larger_than_a_tenth_of_the_burst(limiter):
    leased = LeasedLimiter(limiter, most=100, clock=Ticking())
    narrow = bucket(burst=50)

    for _ in range(20):
        leased.acquire([narrow])
        assert leased.held() < 5


def test_a_lease_that_is_used_slowly_shrinks(limiter):
    clock = Ticking()
    leased = LeasedLimiter(limiter, most=100, clock=clock)
    wide = bucket(limit=1_000, burst=10_000)
    for _ in range(500):
        leased.acquire([wide])
    assert leased._leases[wide].size == 100

    for _ in range(8):
        while leased.held():
            leased.acquire([wide])
        clock.now += 0.21  # longer than SLOW_S, shorter than IDLE_S
        leased.acquire([wide])

    assert leased._leases[wide].size == 1


def test_what_nobody_spends_goes_back(limiter):
    clock = Ticking()
    leased = LeasedLimiter(limiter, most=100, clock=clock)
    idle, busy = bucket("idle", limit=1_000, burst=10_000), bucket("busy", burst=100)
    for _ in range(100):
        leased.acquire([idle])
    assert limiter.peek([idle]).remaining < 9_900

    clock.now += IDLE_S
    leased.acquire([busy])

    assert limiter.peek([idle]).remaining == 9_900


def test_a_denial_is_remembered_until_its_retry_after(limiter):
    clock, counting = Ticking(), Counting(limiter)
    leased = LeasedLimiter(counting, most=100, clock=clock)
    api = bucket(limit=1, seconds=100.0, burst=1)
    assert leased.acquire([api]).allowed

    denials = [leased.acquire([api]) for _ in range(50)]
    asked = counting.asked["take"]
    clock.now += 90.0
    still = leased.acquire([api])
    clock.now += 10.0
    leased.acquire([api])

    assert not any(denial.allowed for denial in denials)
    assert denials[0].violated == ("api",)
    assert asked == 2
    assert 9 < still.retry_after < 11
    assert counting.asked["take"] == 3


def test_several_buckets_are_charged_together_or_not_at_all(limiter):
    leased = LeasedLimiter(limiter, most=100, clock=Ticking())
    wide, narrow = bucket("wide", burst=100), bucket("narrow", burst=3)

    decisions = [leased.acquire([wide, narrow]) for _ in range(5)]
    leased.close()

    assert [decision.allowed for decision in decisions] == [True, True, True, False, False]
    assert limiter.peek([wide]).remaining == 97


def test_large_costs_and_costs_beyond_the_burst_are_decided_at_once(limiter):
    leased = LeasedLimiter(limiter, most=10, clock=Ticking())
    api = bucket(limit=1_000, burst=100)

    assert leased.acquire([api], 60).remaining == 40
    assert leased.acquire([api], 101).never
    assert leased.acquire([api], 7).allowed
    leased.close()
    assert limiter.peek([api]).remaining == 33


def test_whoever_comes_back_for_several_units_when_told_to_gets_them(single):
    client = single.client()
    clock, ticking = TestClock(client), Ticking()
    limiter = Limiter(client, keys=Keys(unique()), scripts=TEST_BUILD, budget_s=PATIENT_S)
    leased = LeasedLimiter(limiter, most=100, clock=ticking)
    api = bucket(limit=7, seconds=10.0, burst=20)
    assert leased.acquire([api], 18).allowed

    denied = leased.acquire([api], 9)
    microseconds = math.ceil(denied.retry_after * SECOND_US)
    clock.advance(microseconds - 1_000_000)
    ticking.now += microseconds / SECOND_US - 1
    early = leased.acquire([api], 9)
    clock.advance(1_000_000)
    ticking.now += 1.0

    assert denied.retry_after == pytest.approx(7 * 10 / 7, abs=0.001)
    assert not early.allowed
    assert leased.acquire([api], 9).allowed
    limiter.close()


def test_more_subjects_than_leases_are_decided_on_and_later_leased_again(limiter, monkeypatch):
    monkeypatch.setattr("ratelimit.lease._MOST_LEASES", 3)
    clock, counting = Ticking(), Counting(limiter)
    leased = LeasedLimiter(counting, most=100, clock=clock)
    several = [bucket(f"b{i}", limit=1_000, burst=10_000) for i in range(5)]

    for each in several:
        assert leased.acquire([each]).allowed
    assert (counting.asked["take"], counting.asked["acquire"]) == (3, 2)
    clock.now += IDLE_S
    assert leased.acquire([several[4]]).allowed

    assert counting.asked["take"] == 4
    assert leased.held() == 1
    leased.close()
    assert [state.remaining for state in limiter.peek_many(several)] == [9_999] * 3 + [9_999, 9_998]


def test_no_unit_is_lost_when_others_spend_while_the_rest_is_given_back(limiter):
    leased = LeasedLimiter(limiter, most=1_000)
    wide, spent = bucket(limit=1_000, burst=100_000), Counter()

    def spend(number):
        for _ in range(3_000):
            spent[number] += leased.acquire([wide]).allowed

    threads = [threading.Thread(target=spend, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        leased.sweep(idle_s=0.0)
    for thread in threads:
        thread.join()
    leased.close()

    assert limiter.peek([wide]).remaining - 100_000 + spent.total() in range(3)


@pytest.mark.parametrize("offered", [0.7, 3.0])
def test_workers_admit_at_most_the_burst_the_rate_and_what_they_hold(single, offered):
    """admitted ≤ burst + rate · T + workers · K, in every window that ends anywhere."""
    workers, most, quota = 4, 20, Quota.per_second(1_000, 200)
    client = single.client()
    clock, ticking = TestClock(client), Ticking()
    limiter = Limiter(client, keys=Keys(unique()), scripts=TEST_BUILD, budget_s=PATIENT_S)
    leased = [LeasedLimiter(limiter, most, ticking) for _ in range(workers)]
    shared = [Bucket("shared", "k", quota)]
    step_us = int(SECOND_US / (float(quota.rate) * offered))

    moments = []
    for i in range(2_000):
        if leased[i * 7 % workers].acquire(shared).allowed:
            moments.append(clock.now_us)
        clock.advance(step_us)
        ticking.now += step_us / SECOND_US
    limiter.close()

    for begin in range(0, len(moments), 25):
        for end in range(begin, len(moments), 25):
            passed = (moments[end] - moments[begin]) * quota.rate / SECOND_US
            assert end - begin + 1 <= quota.burst + passed + workers * most
    if offered > 1:
        filled = quota.burst + (moments[-1] - moments[0]) * quota.rate / SECOND_US
        assert len(moments) >= filled - workers * most - 1
