"""Rows to show, and people who look at them; rows of tests live on both databases."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from ansf_platform.accounts.models import Membership, Tenant
from ansf_platform.celery import app
from coordination import definitions, submission
from coordination.models import Agent, Attempt, Lease, Status, Swarm, Task, WorkerNode
from healthchecks.models import Flip, HealthCheck, Reading
from tests.databases import _postgres_config, _pristine_sqlite, db

__all__ = ["_postgres_config", "_pristine_sqlite", "db"]


@app.task(name="tests.shown")
def shown(**payload):
    return payload


@pytest.fixture
def person(db):
    """Make somebody: a superuser, or a member of a tenant with a role; their client."""

    def make(name, *, of=None, role="viewer", superuser=False):
        user = User.objects.create_user(name, is_staff=True, is_superuser=superuser)
        if of is not None:
            Membership.objects.create(user=user, tenant=of, role=role)
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def desk(person, tenant):
    """A superuser's client."""
    return person("boss", superuser=True)


class Place:
    """One tenant's rows, made as the platform would make them."""

    def __init__(self, tenant):
        self.tenant = tenant

    def swarm(self, slug, agents=1, **columns):
        found = Swarm.objects.create(tenant=self.tenant, slug=slug, **columns)
        for number in range(agents):
            Agent.objects.create(swarm=found, name=f"{slug}-{number}")
        return found

    def definition(self, name, swarm, **columns):
        return definitions.define(
            self.tenant, name, handler="tests.shown", default_swarm=swarm, **columns
        )

    def tasks(self, definition, count=1, **options):
        requests = [
            submission.TaskRequest(definition=definition.name, **options) for _ in range(count)
        ]
        placed = submission.submit_many(requests, tenant=self.tenant).submissions
        return [found.task_id for found in placed]

    def moved(self, ids, *steps, **columns):
        """Bring ready tasks along allowed moves, without a worker."""
        for step in steps:
            Task.objects.filter(pk__in=ids).update(status=step, **columns)

    def dead(self, ids):
        self.moved(ids, Status.DISPATCHED, Status.RUNNING, Status.DEAD)

    def attempt(self, task_id, outcome="failed", **columns):
        task = Task.objects.get(pk=task_id)
        now = timezone.now()
        given = {"number": 1, "fence": task.fence, "started_at": now, "ended_at": now, **columns}
        return Attempt.objects.create(
            task_id=task.pk, definition=task.definition, swarm=task.swarm, outcome=outcome, **given
        )

    def check(self, name, state="ok", *, tenant=None, **columns):
        found = HealthCheck.objects.create(tenant=tenant, name=name, kind="tcp", **columns)
        now = timezone.now()
        Reading.objects.create(
            health_check=found, at=now, state=state, value=3.5, unit="ms",
            message=f"{name} says {state}", duration_ms=1,
        )  # fmt: skip
        Flip.objects.create(
            health_check=found, at=now, before="unknown", after=state, reason="test"
        )
        return found


@pytest.fixture
def place(tenant):
    return Place(tenant)


@pytest.fixture
def elsewhere(db):
    """Another tenant's place."""
    return Place(Tenant.objects.create(slug="elsewhere", name="Elsewhere"))


def lead(seconds=60, term=3):
    """A coordinator that leads for so long yet."""
    now = timezone.now()
    Lease.objects.update_or_create(
        name="coordinator",
        defaults={
            "holder": "host:1", "term": term, "elected_at": now, "renewed_at": now,
            "steady_since": now, "expires_at": now + timedelta(seconds=seconds),
        },
    )  # fmt: skip


def worker(pool="cpu", *, lease=60, **columns):
    """A worker whose lease runs for so long yet."""
    now = timezone.now()
    given = {"concurrency": 4, "free_slots": 3, "rss_bytes": 250 * 2**20, **columns}
    return WorkerNode.objects.create(
        name=f"{pool}-{uuid.uuid4().hex[:8]}@host", boot_id=uuid.uuid4(), pool=pool,
        hostname="host", pid=7, beat_at=now, previous_beat_at=now, started_at=now,
        lease_expires_at=now + timedelta(seconds=lease), **given,
    )  # fmt: skip


@pytest.fixture
def staff(db):
    """A leading coordinator and a worker of each pool."""
    lead()
    return {pool: worker(pool) for pool in ("cpu", "io")}
