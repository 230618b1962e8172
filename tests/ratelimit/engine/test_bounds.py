"""At the edges: huge numbers, strange values, answers that never came. Nothing is spent twice."""

from __future__ import annotations

import logging

import pytest

from ratelimit.buckets import Bucket
from ratelimit.keys import Keys
from ratelimit.limiter import Limiter
from ratelimit.quota import LONGEST_PERIOD_US, Quota
from tests.ratelimit.engine.servers import PATIENT_S, TEST_BUILD, Single, bucket, unique, until
from tests.ratelimit.engine.test_reference import TestClock

pytestmark = pytest.mark.valkey

MONTH_S = 31 * 86_400.0
HUGE = 10**30


@pytest.fixture
def clocked(single):
    """A limiter and the clock that its scripts read."""
    client = single.client()
    clock = TestClock(client)
    made = Limiter(client, keys=Keys(unique()), scripts=TEST_BUILD, budget_s=PATIENT_S)
    yield made, clock
    made.close()


def test_wishes_beyond_ten_years_are_wishes_for_the_burst(each_limiter):
    monthly = bucket("monthly", seconds=MONTH_S, burst=1)
    shadow = bucket("shadow", seconds=MONTH_S, burst=1, shadow=True)

    taken = each_limiter.take_many([(monthly, HUGE), (shadow, 1_000)])
    decided = each_limiter.acquire_many([([monthly], 1_000), ([shadow], HUGE)])

    assert [grant.granted for grant in taken] == [1, 1_000]
    assert [decision.allowed for decision in decided] == [False, True]
    assert decided[0].never
    assert each_limiter.refund([monthly], HUGE)
    assert each_limiter.peek([monthly]).remaining == 1


def test_no_verb_takes_less_than_nothing(each_limiter):
    api = bucket(burst=10)
    reservation = each_limiter.reserve([api], 5)

    for wrong in (
        lambda: each_limiter.settle(reservation, -200),
        lambda: each_limiter.refund([api], -5),
        lambda: each_limiter.refund_many([(api, -5)]),
        lambda: each_limiter.take(api, -1),
    ):
        with pytest.raises(ValueError, match=r"cost: -\d+ is not a whole number from 0 on"):
            wrong()
    assert each_limiter.peek([api]).remaining == 5


def test_a_debt_that_ten_years_would_not_refill_is_refused_with_a_reason(each_limiter):
    monthly = bucket("monthly", seconds=MONTH_S, burst=1)
    reservation = each_limiter.reserve([monthly], 1)

    with pytest.raises(ValueError, match="cost: 999 would take more than ten years to refill"):
        each_limiter.settle(reservation, 1_000)


def test_extreme_changes_of_a_rate_stay_within_what_can_be_counted(limiter):
    fast = Bucket("extreme", "k", Quota(10**9, 1_000, 10**6))
    slow = Bucket("extreme", "k", Quota(1, LONGEST_PERIOD_US, 1))
    limiter.charge_many([(fast, 10**12)])

    found = [limiter.peek([each]) for each in (slow, fast, slow)]
    limiter.charge_many([(slow, 1)])
    found += [limiter.peek([each]) for each in (slow, fast)]

    assert not any(decision.degraded for decision in found)
    assert not found[0].allowed
    assert found[0].reset_after < 101 * 366 * 86_400


@pytest.mark.parametrize("spoilt", ["", "nonsense", "1:2:3", "1e9:0:1/1", "5:0:0/0"])
def test_a_value_of_another_s_making_says_nothing_and_is_overwritten(single, limiter, spoilt):
    api = bucket(burst=3)
    name = limiter._calls.keys.of("level", api)
    single.client().set(name, spoilt)

    decisions = [limiter.acquire([api]) for _ in range(4)]

    assert [decision.allowed for decision in decisions] == [True, True, True, False]
    single.client().delete(name)
    single.client().rpush(name, "a list")
    assert limiter.take(api, 5).granted == 3
    assert not limiter.degraded


def test_a_key_that_cannot_hold_places_fails_alone(single, limiter):
    places = bucket("places", limit=800, unit="concurrency")
    single.client().set(limiter._calls.keys.of("slots", places), "no set")

    for _ in range(5):
        with limiter.slot([places]) as slot:
            assert slot.decision.degraded
    assert not limiter.degraded
    assert not limiter.acquire([bucket(burst=3)]).degraded


def test_what_has_been_refilled_since_is_not_given_back_again(clocked):
    """Reserved, refilled, spent, cancelled: the burst is there once, not twice."""
    limiter, clock = clocked
    api = bucket(limit=100, seconds=1.0, burst=100)
    reservation = limiter.reserve([api], 100)
    clock.advance(1_050_000)
    assert limiter.acquire([api], 100).allowed

    assert limiter.cancel(reservation)

    assert limiter.acquire([api], 1).allowed is False


def test_of_a_charge_that_still_lies_ahead_all_is_given_back(clocked):
    limiter, clock = clocked
    api = bucket(limit=100, seconds=1.0, burst=1_000)
    limiter.acquire([api], 800)
    reservation = limiter.reserve([api], 100)  # behind eight seconds of others
    clock.advance(5_000_000)

    limiter.settle(reservation.id, 30)

    assert limiter.peek([api]).remaining == 1_000 - 800 - 30 + 500


def test_a_shadow_that_was_not_charged_is_given_nothing_back(each_limiter):
    shadow, real = bucket("shadow", burst=5, shadow=True), bucket("real", burst=100)
    each_limiter.acquire([shadow], 4)
    over, within = each_limiter.reserve([shadow, real], 3), each_limiter.reserve([shadow, real], 1)

    assert each_limiter.cancel(over)
    assert [s.remaining for s in each_limiter.peek_many([shadow, real])] == [0, 99]
    assert each_limiter.cancel(within.id)
    assert [s.remaining for s in each_limiter.peek_many([shadow, real])] == [1, 100]
    assert over.charged == (real,)


def test_without_redis_a_shadow_that_was_not_charged_is_given_nothing_back():
    limiter = Limiter(None, workers=1)
    shadow = bucket("shadow", burst=1, shadow=True)
    over = limiter.reserve([shadow], 2)

    limiter.settle(over, 1)

    assert limiter.alone.debts() == []


@pytest.mark.fault
def test_a_refund_that_nobody_answered_is_not_made_twice(fresh_valkey):
    valkey = fresh_valkey()
    limiter = Limiter(
        Single(valkey).client(), keys=Keys(unique()), budget_s=0.05, connect_s=PATIENT_S
    )
    api = bucket(burst=1_000)
    until(lambda: not limiter.acquire([api], 0).degraded)
    limiter.acquire([api], 501)
    assert limiter.refund([api], 1)  # the server knows the script

    valkey.pause()  # it reads what was sent as soon as it goes on
    assert not limiter.refund([api], 100)
    valkey.resume()
    until(lambda: not limiter.acquire([api], 0).degraded and not limiter.alone.owing)

    assert limiter.peek([api]).remaining == 600
    limiter.close()


@pytest.mark.fault
def test_a_refund_that_was_never_sent_is_made_when_redis_is_back(fresh_valkey):
    valkey = fresh_valkey()
    limiter = Limiter(
        Single(valkey).client(), keys=Keys(unique()), budget_s=PATIENT_S, probe_every_s=0.02
    )
    api = bucket(burst=1_000, without_redis="allow")
    valkey.kill()
    limiter.acquire([api], 500)
    assert not limiter.refund([api], 100)
    valkey.start()
    until(lambda: not limiter.degraded and not limiter.alone.owing)

    assert limiter.peek([api]).remaining == 600
    limiter.close()


@pytest.mark.fault
def test_a_debt_that_cannot_be_paid_keeps_no_other_from_being_paid(fresh_valkey, caplog):
    valkey = fresh_valkey()
    client = Single(valkey).client()
    limiter = Limiter(client, keys=Keys(unique()), budget_s=PATIENT_S, probe_every_s=0.02)
    free = {"without_redis": "allow"}
    huge, small = bucket("huge", seconds=MONTH_S, burst=1, **free), bucket("small", burst=9, **free)
    valkey.kill()
    assert limiter.take(huge, HUGE).degraded
    limiter.acquire([small], 3)
    valkey.start()

    until(lambda: not limiter.degraded and not limiter.alone.owing)

    assert limiter.peek([small]).remaining == 6
    assert limiter.peek([huge]).remaining < -100
    limiter.close()


def test_whatever_ends_a_payment_what_is_owed_stays_owed(single, monkeypatch, caplog):
    limiter = Limiter(single.client(), keys=Keys(unique()), budget_s=PATIENT_S, probe_every_s=0.01)
    api, tries = bucket(burst=10), []

    def fails(calls, debts):
        tries.append(debts)
        raise ZeroDivisionError

    with monkeypatch.context() as broken, caplog.at_level(logging.CRITICAL):
        broken.setattr("ratelimit.debts.commands", fails)
        limiter.alone.owe([api], 4)
        limiter.peek_many([api])  # whoever is answered next starts the payment
        until(lambda: len(tries) > 2)

    until(lambda: limiter.peek([api]).remaining == 6)
    limiter.close()
