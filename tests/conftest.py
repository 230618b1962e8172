"""What all tests share: real servers, one cast of swarms, guarded statuses, steady examples.

Databases: most packages use pytest-django's `db` (SQLite). `tests/coordination` and
`tests/workers` import the `db` of :mod:`tests.databases` instead: there every test that touches
rows runs once on SQLite and once, marked `postgres`, on PostgreSQL. Whatever the database,
:mod:`tests.status_guard` refuses a status that moves outside TRANSITIONS.

Kernels are compiled once, where `make setup` keeps them, for this process and those it starts: a
directory of its own would cost each the better part of a minute.

`HYPOTHESIS_PROFILE=thorough` looks at 20 times more examples, at new ones each time; `make check`
looks at a quarter (`quick`).
"""

from __future__ import annotations

import os

import pytest
from django.db import connection
from django.test import override_settings
from hypothesis import HealthCheck, settings

from ansf_platform.accounts.models import Tenant
from ansf_platform.celery import app
from coordination import definitions
from coordination.models import Agent, Swarm
from tests import status_guard
from tests.architecture.sources import ROOT

os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".ansf" / "kernels"))  # numba is not in yet

pytest_plugins = ["tests.services_fixtures", "tests.migrated"]

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=100,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", parent=settings.get_profile("ci"), max_examples=2_000,
                          derandomize=False)  # fmt: skip
settings.register_profile("quick", parent=settings.get_profile("ci"), max_examples=25)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

CAST = {"research": 8, "backend": 6, "frontend": 4, "qa": 6, "devops": 4, "security": 4}


@app.task(name="tests.accept")
def accept(**payload):
    return payload


SERVERS = ("postgres", "rabbitmq", "valkey")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    for item in items:
        for server in SERVERS:
            if not {server, f"fresh_{server}"}.isdisjoint(item.fixturenames):
                item.add_marker(server)
    # Tracing lines costs a test half its time again, and on SQLite its twin runs the same ones.
    for item in items:
        if getattr(item, "callspec", None) and item.callspec.params.get("db") == "postgresql":
            item.add_marker("no_cover")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        status_guard.install(connection)


@pytest.fixture(scope="session", autouse=True)
def cheaper_settings(tmp_path_factory):
    """What costs production little or nothing, and a thousand tests minutes."""
    with override_settings(
        # Nobody collects static files for a test, and whitenoise warns of a missing directory.
        STATIC_ROOT=tmp_path_factory.getbasetemp(),
        # Files are looked for when they are asked for, not all of them for every new client.
        WHITENOISE_AUTOREFRESH=True,
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ):
        yield


@pytest.fixture
def tenant(db):
    return Tenant.objects.get_or_create(slug="default", defaults={"name": "Default"})[0]


@pytest.fixture
def other_tenant(db):
    return Tenant.objects.create(slug="other", name="Other")


@pytest.fixture
def swarms(tenant):
    """Six swarms by slug, with 8, 6, 4, 6, 4 and 4 agents."""
    found = {slug: Swarm.objects.create(tenant=tenant, slug=slug) for slug in CAST}
    Agent.objects.bulk_create(
        Agent(swarm=found[slug], name=f"{slug}-{number}")
        for slug, count in CAST.items()
        for number in range(count)
    )
    return found


@pytest.fixture
def definition(tenant, swarms):
    """Takes any payload, belongs to the research swarm, three attempts."""
    return definitions.define(
        tenant, "accept", handler="tests.accept", default_swarm=swarms["research"]
    )
