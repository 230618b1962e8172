"""One suite over both systems, each with real coordinators and workers, started once.

`embedded` is SQLite and Valkey, `full` is PostgreSQL and RabbitMQ. Two coordinators compete; a
`cpu` pool of one process and an `io` pool of four threads serve. The window is deep, so that
the broker's own order shows. For a test, ``connections["default"]`` is the system's database.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack

import dj_database_url
import pytest
from django.conf import settings
from django.db import connection

from ansf_platform.accounts.models import Tenant
from ansf_platform.services.errors import BinaryMissing
from benchmarks.stack import Stack
from coordination import definitions, submit
from coordination.models import Agent, Swarm, Task, WorkerNode
from tests import status_guard
from tests.conformance import handlers
from tests.databases import pointed_at

DEADLINE_S = 30.0
EXTRA = {"ANSF_HANDLERS": "tests.conformance.handlers", "ANSF_WINDOW_PER_SLOT": "16"}
DEFINITIONS = {
    "add": {"handler": handlers.add.name, "pool": "cpu"},
    "add-io": {"handler": handlers.add.name, "pool": "io"},
    "hold": {"handler": handlers.hold.name, "pool": "io"},
    "hold-cpu": {"handler": handlers.hold.name, "pool": "cpu"},
    "fails-twice": {"handler": handlers.fails_twice.name, "pool": "io", "backoff_seconds": 0.0},
    "retries": {"handler": handlers.retries.name, "pool": "cpu"},
}


def until(condition, seconds=DEADLINE_S):
    """Wait until the condition holds; what it answered. Fails at the deadline."""
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, f"not within {seconds} s"
        time.sleep(0.02)
    return found


def config_of(stack):
    config = dict(dj_database_url.parse(stack.database_url))
    if stack.kind == "embedded":
        config["OPTIONS"] = settings.SQLITE_OPTIONS
    return config


def _start(exits, stack, blocker):
    try:
        exits.enter_context(stack)
    except BinaryMissing as absent:
        if os.environ.get("CI") == "true":
            pytest.fail(str(absent))
        pytest.skip(str(absent))
    stack.coordinator("coordinator-1")
    stack.coordinator("coordinator-2")
    stack.worker("cpu", 1)
    stack.worker("io", 4)
    with blocker.unblock(), pointed_at(config_of(stack)):
        status_guard.install(connection)
        tenant = Tenant.objects.get(slug="default")
        for name, columns in DEFINITIONS.items():
            definitions.define(tenant, name, **columns)
        until(lambda: WorkerNode.objects.filter(idle_beats__gte=1).count() == 2, 60)
    return stack


@pytest.fixture(scope="session")
def _stacks(tmp_path_factory, migrated_file, django_db_blocker):
    """Systems by kind, each started when first asked for."""
    started = {}

    def find(kind):
        if kind not in started:
            directory = tmp_path_factory.mktemp(kind)
            if kind == "embedded":
                migrated_file(directory / "ansf.sqlite3")
            stack = Stack(kind, directory, EXTRA)
            started[kind] = _start(exits, stack, django_db_blocker)
        return started[kind]

    with ExitStack() as exits:
        yield find


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.valkey),
        pytest.param("full", marks=[pytest.mark.postgres, pytest.mark.rabbitmq]),
    ]
)
def stack(request, _stacks, django_db_blocker):
    """A running system whose rows this process sees."""
    found = _stacks(request.param)
    with django_db_blocker.unblock(), pointed_at(config_of(found)):
        yield found


@pytest.fixture
def send(stack):
    """Submit a task; its id."""
    return lambda definition, payload=None, **options: (
        submit(definition, payload or {}, **options).task_id
    )


@pytest.fixture
def wait(stack):
    """Wait until tasks have a status; their rows in the order asked for."""

    def for_status(status, *ids):
        def rows():
            found = Task.objects.in_bulk(ids)
            return all(found[task].status == status for task in ids) and found

        found = until(rows)
        return [found[task] for task in ids]

    return for_status


@pytest.fixture
def gate(tmp_path):
    """A file that `hold` waits for: payload, and how to release."""

    class Gate:
        path = tmp_path / "open"
        payload = {"until": str(path)}

        def open(self):
            self.path.touch()

    found = Gate()
    yield found
    found.open()  # a failed test must not leave a slot in use


@pytest.fixture
def swarm(stack, request):
    """A swarm of this test with four agents."""
    tenant = Tenant.objects.get(slug="default")
    slug = request.node.originalname.removeprefix("test_").replace("_", "-")[:50].strip("-")
    found = Swarm.objects.create(tenant=tenant, slug=slug)
    Agent.objects.bulk_create(Agent(swarm=found, name=f"a{number}", slots=4) for number in range(4))
    yield found
    Swarm.objects.filter(pk=found.pk).update(paused=True)
