"""A limiter on a real server, policies, and callers of the API."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import Tenant
from ansf_platform.accounts.scopes import SCOPES
from ratelimit import counting, definitions, policies, pool
from ratelimit.counted import CountedLimiter
from ratelimit.definitions import COMMAND
from ratelimit.models import Policy
from ratelimit.spec import spec_from
from tests.api.conftest import Api


@pytest.fixture(autouse=True)
def fresh_view():
    """No test sees the rows of another."""
    policies.forget()
    yield
    policies.forget()


@pytest.fixture
def server(valkey, settings, monkeypatch):
    """The process's limiter on an empty database of a real server; a client of it.

    The limiter has more patience than in production: these tests are about what it is told.
    """
    settings.REDIS_URL = valkey.database_url(11)
    client = counting.connected()
    client.flushdb()
    counting.TALLY.reset()
    made = CountedLimiter(redis.Redis.from_url(settings.REDIS_URL), budget_s=5.0)
    monkeypatch.setattr(pool, "limiter", lambda: made)
    yield client
    counting.TALLY.stop()
    made.close()


@pytest.fixture
def nowhere(settings, monkeypatch):
    """A Redis that does not answer."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    made = CountedLimiter(redis.Redis.from_url(settings.REDIS_URL), workers=1)
    monkeypatch.setattr(pool, "limiter", lambda: made)
    yield
    counting.TALLY.stop()
    made.close()


@pytest.fixture
def limit(db):
    """Write a policy; the platform's unless a tenant is given."""

    def write(name: str, limit: int, *, tenant: Tenant | None = None, **columns: Any) -> Policy:
        given = spec_from({"name": name, "limit": limit, **columns})
        return definitions.create(tenant, given, COMMAND)

    return write


@pytest.fixture
def only(db):
    """No policies but those that the test writes."""
    Policy.objects.all().delete()
    policies.forget()


@pytest.fixture
def caller():
    """Make a caller of the API with a token of a tenant."""

    def make(tenant: Tenant, *scopes: str) -> Api:
        _, secret = tokens.issue(tenant, "test", scopes or SCOPES)
        return Api(secret)

    return make


@pytest.fixture
def api(tenant, caller):
    """May do everything in the default tenant."""
    return caller(tenant)


@pytest.fixture
def stranger(other_tenant, caller):
    """May do everything in another tenant."""
    return caller(other_tenant)


@pytest.fixture
def boss(db, django_user_model):
    """A superuser's API, by session."""
    user = django_user_model.objects.create(username="boss", is_superuser=True, is_staff=True)
    made = Api("")
    made.client.force_login(user)
    return made
