"""The scripts against rational arithmetic, on a real server with a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ratelimit.buckets import Bucket
from ratelimit.keys import Keys
from ratelimit.limiter import Limiter
from ratelimit.quota import Quota
from ratelimit.reference import Reference
from tests.ratelimit.engine.servers import CLOCK, PATIENT_S, TEST_BUILD, unique

pytestmark = pytest.mark.valkey

EPOCH_S = 1_800_000_000
SECOND_US = 1_000_000
PERIODS_US = st.one_of(
    st.sampled_from([SECOND_US, 60 * SECOND_US, 3_600 * SECOND_US, 86_400 * SECOND_US]),
    st.integers(10_000, 100 * SECOND_US),
)


@st.composite
def quotas(draw):
    """0.01 to 100 000 per second, bursts of 1 to 10 000."""
    period_us = draw(PERIODS_US)
    lowest = max(1, -(-period_us // (100 * SECOND_US)))
    limit = draw(st.integers(lowest, max(lowest, 100_000 * period_us // SECOND_US)))
    return Quota(limit, period_us, draw(st.integers(1, 10_000)))


class TestClock:
    """The time that the test build of the scripts reads."""

    __test__ = False

    def __init__(self, client):
        self._client = client
        self.now_us = EPOCH_S * SECOND_US
        self.advance(0)

    def advance(self, microseconds):
        self.now_us += microseconds
        seconds, rest = divmod(self.now_us, SECOND_US)
        self._client.hset(CLOCK, mapping={"s": seconds, "us": rest})


class LimiterAndReference(RuleBasedStateMachine):
    """Whatever is asked in whatever order, both answer the same, to the unit and to the µs."""

    server = None

    @initialize(rates=st.lists(quotas(), min_size=3, max_size=3), shadow=st.booleans())
    def begin(self, rates, shadow):
        client = self.server.client()
        self.clock = TestClock(client)
        self.limiter = Limiter(
            client, keys=Keys(unique()), scripts=TEST_BUILD, budget_s=PATIENT_S, connect_s=PATIENT_S
        )
        self.reference = Reference()
        self.reservations = []
        self.reference.advance(self.clock.now_us)
        self.buckets = [
            Bucket(f"policy {i}", "key", quota, shadow=shadow and i == 0)
            for i, quota in enumerate(rates)
        ]

    @rule(
        which=st.sets(st.integers(0, 2), min_size=1),
        cost=st.one_of(st.integers(0, 3), st.integers(0, 10_001)),
    )
    def acquire(self, which, cost):
        buckets = [self.buckets[i] for i in sorted(which)]

        assert self.limiter.acquire(buckets, cost) == self.reference.acquire(buckets, cost)

    @rule(which=st.integers(0, 2), at_most=st.integers(1, 20_000))
    def take(self, which, at_most):
        bucket = self.buckets[which]

        assert self.limiter.take(bucket, at_most) == self.reference.take(bucket, at_most)

    @rule(which=st.integers(0, 2), units=st.integers(1, 5_000))
    def refund(self, which, units):
        self.limiter.refund([self.buckets[which]], units)
        self.reference.charge(self.buckets[which], -units)

    @rule(
        which=st.sets(st.integers(0, 2), min_size=1),
        estimate=st.one_of(st.integers(0, 5), st.integers(0, 5_000)),
    )
    def reserve(self, which, estimate):
        buckets = [self.buckets[i] for i in sorted(which)]
        reservation = self.limiter.reserve(buckets, estimate)

        assert reservation.decision == self.reference.acquire(buckets, estimate)
        charged = {b: self.reference.full_at(b) for b in reservation.charged}
        self.reservations.append((reservation, charged))

    @precondition(lambda self: self.reservations)
    @rule(
        nth=st.integers(0, 10),
        actual=st.one_of(st.integers(0, 5), st.integers(0, 5_000)),
        by_id=st.booleans(),
    )
    def settle(self, nth, actual, by_id):
        reservation, charged = self.reservations.pop(nth % len(self.reservations))
        which = reservation.id if by_id else reservation

        assert self.limiter.settle(which, actual) == reservation.allowed
        assert not self.limiter.settle(which, actual)
        for bucket, charged_until in charged.items():
            self.reference.correct(bucket, charged_until, actual - reservation.estimate)

    @rule()
    def peek(self):
        expected = [self.reference.peek(bucket) for bucket in self.buckets]

        assert self.limiter.peek_many(self.buckets) == expected

    @rule(microseconds=st.one_of(st.integers(0, 30), st.integers(0, 10**6), st.integers(0, 10**11)))
    def wait(self, microseconds):
        self.clock.advance(microseconds)
        self.reference.advance(microseconds)

    @rule(which=st.integers(0, 2))
    def wait_until_a_unit_fits(self, which):
        state = self.reference.peek(self.buckets[which])
        assume(state.retry_after is not None)
        self.wait(round(state.retry_after * SECOND_US))
        assert self.limiter.take(self.buckets[which], 1).granted == 1
        self.reference.take(self.buckets[which], 1)

    def teardown(self):
        if hasattr(self, "limiter"):
            self.limiter.close()


def test_scripts_and_reference_never_differ(single):
    class OnServer(LimiterAndReference):
        server = single

    run_state_machine_as_test(
        OnServer, settings=settings(settings(), max_examples=60, stateful_step_count=30)
    )


@given(before=quotas(), after=quotas(), taken=st.floats(0, 1), later=st.integers(0, 10**6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_change_of_the_quota_keeps_the_level_within_a_microsecond(
    single, before, after, taken, later
):
    client = single.client()
    clock, reference = TestClock(client), Reference()
    reference.advance(clock.now_us)
    limiter = Limiter(client, keys=Keys(unique()), scripts=TEST_BUILD, budget_s=PATIENT_S)
    old, new = Bucket("p", "k", before), Bucket("p", "k", after)
    units = round(taken * before.burst)

    for model in (limiter, reference):
        model.acquire([old], units)
    clock.advance(later)
    reference.advance(later)
    reference.change(old, after)
    found, expected = limiter.peek([new]).per_bucket[0], reference.peek(new)

    limiter.close()
    # A double has 53 bits: a level of years is known to the microsecond, one of hours exactly.
    slack_s = 2e-6 + expected.reset_after * 2**-50
    assert found.reset_after == pytest.approx(expected.reset_after, abs=slack_s)
    assert abs(found.remaining - expected.remaining) <= 1


# The rows of redis-cell's idea of a conformance test, with numbers of our own: two units a second,
# three at once. Milliseconds since the last row, cost, then allowed, remaining, retry after ms,
# reset after ms.
ROWS = [
    (0, 1, True, 2, None, 500),
    (0, 1, True, 1, None, 1000),
    (0, 0, True, 1, None, 1000),
    (0, 2, False, 1, 500, 1000),
    (0, 1, True, 0, None, 1500),
    (0, 1, False, 0, 500, 1500),
    (499, 1, False, 0, 1, 1001),
    (1, 1, True, 0, None, 1500),
    (250, 0, True, 0, None, 1250),
    (250, 2, False, 1, 500, 1000),
    (500, 2, True, 0, None, 1500),
    (0, 4, False, 0, None, 1500),
    (1499, 3, False, 2, 1, 1),
    (1, 3, True, 0, None, 1500),
    (86_400_000, 1, True, 2, None, 500),
]


def test_fifteen_requests_are_decided_as_a_bucket_of_three_decides(single):
    client = single.client()
    clock = TestClock(client)
    limiter = Limiter(client, keys=Keys(unique()), scripts=TEST_BUILD, budget_s=PATIENT_S)
    bucket = Bucket("p", "k", Quota.per_second(2, 3))

    found = []
    for later_ms, cost, *_ in ROWS:
        clock.advance(later_ms * 1000)
        told = limiter.acquire([bucket], cost)
        retry_ms = None if told.retry_after is None else round(told.retry_after * 1000)
        reset_ms = round(told.reset_after * 1000)
        found.append((later_ms, cost, told.allowed, told.remaining, retry_ms, reset_ms))

    limiter.close()
    assert found == ROWS


@pytest.mark.parametrize("offered", [0.5, 1.0, 1.7, 3.0])
@pytest.mark.parametrize(
    ("limit", "seconds", "burst"),
    [
        (1, 31 * 86_400, 1),
        (1, 31 * 86_400, 11),
        (100, 86_400, 100),
        (1, 100, 1),
        (1, 7, 3),
        (100, 3, 10),
        (997, 1, 1),
        (30_000, 1, 1_000),
        (69_997, 1, 7),
        (100_000, 1, 10_000),
    ],
)
def test_what_is_admitted_is_what_a_bucket_admits(single, limit, seconds, burst, offered):
    client = single.client()
    clock, reference = TestClock(client), Reference()
    reference.advance(clock.now_us)
    limiter = Limiter(client, keys=Keys(unique()), scripts=TEST_BUILD, budget_s=PATIENT_S)
    quota = Quota.per_second(limit, burst, seconds)
    bucket, begun_us, requests = Bucket("p", "k", quota), clock.now_us, max(200, burst // 10)

    admitted = expected = asked = 0
    while asked < 3 * burst + 300:
        step = -(-(3 * burst + 300) // requests)
        asked += step
        admitted += limiter.take(bucket, min(step, burst)).granted
        expected += reference.take(bucket, min(step, burst)).granted
        later_us = int(step / (offered * quota.rate) * SECOND_US)
        clock.advance(later_us)
        reference.advance(later_us)
    admitted += limiter.take(bucket, burst).granted
    expected += reference.take(bucket, burst).granted

    limiter.close()
    assert admitted == expected
    filled = burst + (clock.now_us - begun_us) * quota.rate / SECOND_US
    assert admitted <= filled
    if offered > 1 and burst > 1:  # a bucket of one unit is full between two requests
        assert filled - admitted < 1
