"""The probe of the limiter: exact, degraded, and how much was decided without Redis."""

from __future__ import annotations

import pytest
from django.utils import timezone

from healthchecks.models import HealthCheck
from healthchecks.probes import measure
from ratelimit import counting
from ratelimit.buckets import Bucket
from ratelimit.decision import BucketState, Decision
from ratelimit.quota import Quota

pytestmark = pytest.mark.django_db


def look(**params):
    check = HealthCheck(name="limits", kind="limits", timeout_seconds=1.0, params=params)
    return measure(check, timezone.now())


@pytest.fixture
def server(valkey, settings):
    settings.REDIS_URL = valkey.database_url(12)
    counting.connected().flushdb()
    yield
    counting.TALLY.reset()


def decided(units, *, degraded):
    tally = counting.Tally()
    bucket = Bucket("api-token", "token:1", Quota(10, 1_000_000, 10))
    state = BucketState("api-token", 5, 0.5)
    decision = Decision(True, 5, 10, None, 0.5, degraded=degraded, per_bucket=(state,))
    tally.count([bucket], decision, units)
    tally.flush()


def test_limits_that_redis_decides_are_ok(server):
    decided(100, degraded=False)

    found = look()

    assert (found.state, found.value) == ("ok", 0.0)
    assert "4 policies in force" in found.message


def test_decisions_without_redis_degrade_it_by_their_share(server):
    decided(90, degraded=False)
    decided(10, degraded=True)

    assert (look().state, look().value) == ("degraded", 10.0)
    assert look(degraded_percent=20).state == "ok"


def test_a_redis_that_is_away_degrades_it_and_tells_what_policies_do(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    found = look()

    assert found.state == "degraded"
    assert "2 allow, 2 local" in found.message
    assert "ANSF_LIMIT_BUDGET_MS" in found.fix
