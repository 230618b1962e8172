"""What every limiter promises: for threads and asyncio, on one server and on a cluster."""

from __future__ import annotations

import pytest

from tests.ratelimit.engine.servers import bucket, until

pytestmark = pytest.mark.valkey


def test_a_burst_is_admitted_and_no_more(each_limiter):
    api = bucket(burst=3)

    decisions = [each_limiter.acquire([api]) for _ in range(5)]

    assert [d.allowed for d in decisions] == [True, True, True, False, False]
    assert [d.remaining for d in decisions] == [2, 1, 0, 0, 0]
    assert not any(d.degraded for d in decisions)


def test_a_denial_says_who_denies_and_for_how_long(each_limiter):
    api = bucket(limit=1, seconds=100.0, burst=1)
    each_limiter.acquire([api])

    denied = each_limiter.acquire([api])

    assert denied.violated == ("api",)
    assert 90 < denied.retry_after <= 100
    assert 90 < denied.reset_after <= 100
    assert denied.limit == 1


def test_all_buckets_are_charged_or_none(each_limiter):
    wide, narrow = bucket("wide", burst=10), bucket("narrow", burst=1)
    each_limiter.acquire([wide, narrow])

    denied = each_limiter.acquire([wide, narrow])

    assert denied.violated == ("narrow",)
    assert [state.remaining for state in denied.per_bucket] == [9, 0]
    assert each_limiter.peek([wide]).remaining == 9


def test_a_cost_above_the_burst_is_refused_for_ever_at_once(each_limiter):
    refused = each_limiter.acquire([bucket(burst=5)], 6, wait=60.0)

    assert (refused.allowed, refused.never, refused.retry_after) == (False, True, None)
    assert refused.remaining == 5


def test_cost_nothing_is_a_look(each_limiter):
    api = bucket(burst=3)

    looks = [each_limiter.acquire([api], 0) for _ in range(5)] + [each_limiter.peek([api])]

    assert {look.remaining for look in looks} == {3}
    assert all(look.allowed for look in looks)


def test_no_buckets_deny_nothing(each_limiter):
    assert each_limiter.acquire([]).allowed
    assert each_limiter.peek_many([]) == []
    assert each_limiter.take_many([]) == []
    assert each_limiter.acquire_many([([], 1)])[0].allowed
    assert each_limiter.refund([], 1)
    assert each_limiter.reset([])


def test_many_decisions_are_made_in_order(each_limiter):
    one, two = bucket("one", burst=2), bucket("two", burst=1)

    found = each_limiter.acquire_many([([one], 1), ([one, two], 1), ([one], 1), ([two], 0)])

    assert [d.allowed for d in found] == [True, True, False, True]


def test_a_thousand_buckets_are_looked_at_and_decided_on(each_limiter):
    many = [bucket("many", key=str(i), burst=1 + i % 7) for i in range(1_000)]

    taken = each_limiter.take_many([(each, 1) for each in many])
    decisions = each_limiter.acquire_many([([each], 1) for each in many])

    assert {grant.granted for grant in taken} == {1}
    assert [d.allowed for d in decisions] == [i % 7 > 0 for i in range(1_000)]
    remaining = [state.remaining for state in each_limiter.peek_many(many)]
    assert remaining == [max(0, i % 7 - 1) for i in range(1_000)]
    with pytest.raises(ValueError, match="buckets: 101 in one decision, at most 100"):
        each_limiter.acquire(many[:101])


def test_taking_gives_as_many_whole_units_as_fit(each_limiter):
    one, two = bucket("one", burst=7), bucket("two", burst=2)

    first = each_limiter.take(one, 5)
    rest = each_limiter.take_many([(one, 5), (two, 1), (one, 1)])

    assert (first.granted, first.retry_after) == (5, None)
    assert [grant.granted for grant in rest] == [2, 1, 0]
    assert rest[0].retry_after > 3500
    assert rest[1].retry_after is None


def test_a_refund_never_fills_above_the_burst(each_limiter):
    api = bucket(burst=5)
    each_limiter.acquire([api], 2)

    assert each_limiter.refund([api], 1)
    assert each_limiter.peek([api]).remaining == 4
    assert each_limiter.refund([api], 100)
    assert each_limiter.peek([api]).remaining == 5


def test_a_reset_fills_up(each_limiter):
    api = bucket(burst=2)
    each_limiter.acquire([api], 2)

    assert each_limiter.reset([api])
    assert each_limiter.peek([api]).remaining == 2


def test_settling_below_the_estimate_gives_back_and_only_once(each_limiter):
    tokens = bucket(burst=100)
    reservation = each_limiter.reserve([tokens], 60)

    assert each_limiter.peek([tokens]).remaining == 40
    assert each_limiter.settle(reservation, 10)
    assert not each_limiter.settle(reservation, 10)
    assert not each_limiter.cancel(reservation)
    assert each_limiter.peek([tokens]).remaining == 90


def test_settling_above_the_estimate_makes_a_debt(each_limiter):
    tokens = bucket(burst=100)
    reservation = each_limiter.reserve([tokens], 60)

    assert each_limiter.settle(reservation, 160)
    assert each_limiter.peek([tokens]).remaining == -60
    assert not each_limiter.peek([tokens]).allowed


def test_a_reservation_is_settled_by_its_id_alone(each_limiter):
    one, two = bucket("one", burst=100), bucket("two", burst=50)
    identity = each_limiter.reserve([one, two], 40).id

    assert each_limiter.settle(identity, 5)
    assert not each_limiter.settle(identity, 5)
    assert [s.remaining for s in each_limiter.peek_many([one, two])] == [95, 45]


def test_a_cancelled_reservation_costs_nothing_and_a_lost_one_its_estimate(each_limiter):
    tokens = bucket(burst=100)
    each_limiter.reserve([tokens], 30)  # nobody settles it
    cancelled = each_limiter.reserve([tokens], 30)

    assert each_limiter.cancel(cancelled)
    assert each_limiter.peek([tokens]).remaining == 70


def test_a_denied_reservation_has_nothing_to_settle(each_limiter):
    tokens = bucket(burst=10)
    each_limiter.acquire([tokens], 10)

    denied = each_limiter.reserve([tokens], 5)

    assert not denied.allowed
    assert not each_limiter.settle(denied, 1)
    assert not each_limiter.settle("ansf.no-such-reservation", 1)


def test_an_expired_reservation_keeps_its_estimate(each_limiter):
    tokens = bucket(burst=10)

    def came_too_late():
        each_limiter.reset([tokens])
        reservation = each_limiter.reserve([tokens], 5, life_s=0.001)
        for _ in range(20):
            each_limiter.peek([tokens])
        return not each_limiter.settle(reservation, 0)

    until(came_too_late)
    assert each_limiter.peek([tokens]).remaining == 5


def test_a_shadow_counts_and_never_denies(each_limiter):
    shadow, real = bucket("shadow", burst=1, shadow=True), bucket("real", burst=3)

    decisions = [each_limiter.acquire([shadow, real]) for _ in range(4)]

    assert [d.allowed for d in decisions] == [True, True, True, False]
    assert [d.per_bucket[0].short for d in decisions] == [False, True, True, True]
    assert decisions[3].violated == ("real",)
    assert decisions[2].remaining == 0
    assert each_limiter.peek_many([shadow])[0].remaining == 0


def test_a_changed_quota_keeps_what_was_taken(each_limiter):
    each_limiter.acquire([bucket(limit=1, seconds=100, burst=10)], 6)

    for changed in (
        bucket(limit=7, seconds=3600, burst=10),
        bucket(limit=3, seconds=86400, burst=10),
        bucket(limit=1, seconds=100, burst=10),
    ):
        assert each_limiter.peek([changed]).remaining == 4
        each_limiter.refund([changed], 1)
        each_limiter.acquire([changed], 1)
    assert each_limiter.peek([bucket(limit=1, seconds=100, burst=8)]).remaining == 2


def test_waiting_sleeps_until_the_slot_that_was_given(each_limiter):
    api = bucket(limit=5, seconds=1.0, burst=1)
    each_limiter.acquire([api])

    waited = each_limiter.acquire([api], wait=5.0)

    assert waited.allowed
    assert 0 < waited.wait <= 0.2
    assert waited.remaining == -1  # the slot lies ahead: it was charged in advance


def test_who_would_wait_too_long_is_refused_and_not_charged(each_limiter):
    api = bucket(limit=1, seconds=100.0, burst=1)
    each_limiter.acquire([api])

    refused = each_limiter.acquire([api], wait=1.0)

    assert not refused.allowed
    assert refused.retry_after > 90
    assert each_limiter.peek([api]).remaining == 0


def test_places_are_held_and_given_back(each_limiter):
    places = bucket("places", limit=2, unit="concurrency")

    with each_limiter.slot([places]) as first, each_limiter.slot([places]) as second:
        with each_limiter.slot([places]) as third:
            assert [slot.allowed for slot in (first, second, third)] == [True, True, False]
            assert third.decision.violated == ("places",)
        assert each_limiter.peek_many([places])[0].remaining == 0

    assert each_limiter.peek_many([places])[0].remaining == 2


def test_places_in_two_buckets_are_taken_together_or_not_at_all(each_limiter):
    wide = bucket("wide", limit=5, unit="concurrency")
    narrow = bucket("narrow", limit=1, unit="concurrency")

    with each_limiter.slot([wide, narrow]), each_limiter.slot([wide, narrow]) as refused:
        assert not refused.allowed
        assert [s.remaining for s in each_limiter.peek_many([wide, narrow])] == [4, 0]


def test_what_cannot_be_charged_is_refused_with_a_reason(each_limiter):
    with pytest.raises(ValueError, match="cost: -1 is not a whole number"):
        each_limiter.acquire([bucket()], -1)
    with pytest.raises(ValueError, match=r"cost: 1\.5 is not a whole number"):
        each_limiter.acquire([bucket()], 1.5)
    with pytest.raises(ValueError, match="places are held, not spent"):
        each_limiter.acquire([bucket(unit="concurrency")])
