"""Policies that a handler asks for itself, on a real server."""

from __future__ import annotations

import time

import pytest
import redis

from ansf_platform.celery import app
from coordination.models import Attempt, Outcome, Status
from ratelimit import policies, pool
from ratelimit.limiter import Limiter
from ratelimit.models import Policy
from tests.coordination.steps import get, ready
from workers import quotas
from workers.context import current
from workers.quotas import LimitReached

asked: list = []


@app.task(name="tests.quotas.ask")
def ask(calls, **options):
    limits = current().limits
    asked.extend(limits.acquire("calls", **options) for _ in range(calls))


@app.task(name="tests.quotas.spend")
def spend():
    limits = current().limits
    held = limits.reserve("calls", estimate=3)
    with pytest.raises(LimitReached, match="calls is reached: it passes in"):
        limits.acquire("calls", wait=0)
    assert limits.settle(held, actual=1)
    assert limits.peek("calls").remaining == 2
    with limits.slot("places"), pytest.raises(LimitReached), limits.slot("places"):
        pass


@pytest.fixture
def calls(tenant, valkey, monkeypatch):
    """A limiter on an empty database, and two policies; changes to the one of calls."""
    client = redis.Redis.from_url(valkey.database_url(13))
    client.flushdb()
    made = Limiter(client, budget_s=5.0)
    monkeypatch.setattr(pool, "limiter", lambda: made)
    asked.clear()

    def write(**columns):
        rate = {"limit": 36, "period_seconds": 3600, "burst": 3, "on_deny": "wait"}
        Policy.objects.create(
            **{"tenant": tenant, "name": "calls", "scope": "swarm", **rate, **columns}
        )
        Policy.objects.create(
            tenant=tenant, name="places", unit="concurrency", limit=1, period_seconds=30
        )
        policies.forget()

    yield write
    policies.forget()
    made.close()


def test_a_handler_waits_for_its_turn(calls, bind, envelope):
    calls(limit=20, period_seconds=1, burst=1)
    bind(ask)
    task = ready(ask.name, {"calls": 3})
    begun = time.monotonic()

    envelope(task)

    assert get(task).status == Status.SUCCEEDED
    assert [decision.allowed for decision in asked] == [True, True, True]
    assert time.monotonic() - begun >= 0.09


def test_it_does_not_wait_beyond_its_time_and_fails_as_the_definition_says(calls, bind, envelope):
    calls()
    bind(ask, time_limit_seconds=2.0)
    task = ready(ask.name, {"calls": 4})
    begun = time.monotonic()

    envelope(task)

    assert time.monotonic() - begun < 20  # the next unit comes after a hundred seconds
    assert get(task).status == Status.SCHEDULED
    attempt = Attempt.objects.get(task_id=task)
    assert (attempt.outcome, attempt.error_type) == (Outcome.FAILED, "LimitReached")


def test_estimates_are_settled_and_places_are_held(calls, bind, envelope):
    calls()
    bind(spend)
    task = ready(spend.name)

    envelope(task)

    assert get(task).status == Status.SUCCEEDED, Attempt.objects.get(task_id=task).traceback


@app.task(name="tests.quotas.misspell")
def misspell():
    for _ in range(3):
        current().limits.acquire("cals")


def test_a_misspelt_name_limits_nothing_and_the_log_tells_of_it_once(calls, bind, envelope, caplog):
    quotas._tell_of.cache_clear()  # each database is another first time
    calls()
    bind(misspell)
    task = ready(misspell.name, {})

    envelope(task)

    assert get(task).status == Status.SUCCEEDED
    told = [record.getMessage() for record in caplog.records if record.name == "workers.quotas"]
    assert len(told) == 1
    assert "the policy cals limits nothing here" in told[0]
