"""Tests of rows run twice, on SQLite and on PostgreSQL; policies on a real limiter."""

from __future__ import annotations

import pytest
import redis

from coordination import definitions
from ratelimit import policies, pool
from ratelimit.limiter import Limiter
from ratelimit.models import Policy
from tests.databases import _postgres_config, _pristine_sqlite, db

__all__ = ["_postgres_config", "_pristine_sqlite", "db"]


@pytest.fixture
def limiter(valkey, monkeypatch):
    """A limiter on an empty database of a real server, with more patience than in production."""
    client = redis.Redis.from_url(valkey.database_url(12))
    client.flushdb()
    made = Limiter(client, budget_s=5.0)
    monkeypatch.setattr(pool, "limiter", lambda: made)
    yield made
    made.close()


@pytest.fixture
def policy(tenant):
    """Write a policy that fills up so slowly that a test does not see it."""

    def write(name="slow", **columns):
        rate = {"limit": 36, "period_seconds": 3600, "burst": 3, "on_deny": "wait"}
        made = Policy.objects.create(
            **{"tenant": tenant, "name": name, "scope": "definition", **rate, **columns}
        )
        policies.forget()
        return made

    yield write
    policies.forget()


@pytest.fixture
def limited(tenant, swarms, policy):
    """Write the policies and a definition that names them."""

    def define(*given, name="limited", **columns):
        names = [policy(**one).name for one in given or ({},)]
        return definitions.define(
            tenant,
            name,
            handler="tests.accept",
            default_swarm=swarms["research"],
            limits=names,
            **columns,
        )

    return define
