"""One row of everything, a superuser's client, and people with roles."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from ansf_platform.accounts import audit, tokens
from ansf_platform.accounts.models import IdempotentRequest, Membership
from ansf_platform.celery import app
from coordination import definitions, runs, submission
from coordination.models import (
    Agent,
    Attempt,
    Blob,
    Counter,
    Firing,
    Lane,
    Lease,
    LimitSet,
    Schedule,
    Status,
    Swarm,
    Task,
    TaskBody,
    WorkerNode,
)
from coordination.runs import EdgeRequest, NodeRequest


@app.task(name="tests.echo")
def echo(**payload):
    return payload


@pytest.fixture
def boss(tenant):
    return User.objects.create_user("boss", is_staff=True, is_superuser=True)


@pytest.fixture
def desk(boss):
    client = Client()
    client.force_login(boss)
    return client


@pytest.fixture
def person(tenant):
    """Make somebody with a role in a tenant and every Django permission; their client."""

    def make(role, *, of=tenant):
        user = User.objects.create_user(f"{role}-{of}", is_staff=True)
        user.user_permissions.set(Permission.objects.all())
        Membership.objects.create(user=user, tenant=of, role=role)
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def swarm(tenant):
    return Swarm.objects.create(tenant=tenant, slug="research")


@pytest.fixture
def definition(tenant, swarm):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "default": 5}}}
    return definitions.define(
        tenant, "echo", handler="tests.echo", default_swarm=swarm, schema=schema
    )


@pytest.fixture
def task(definition, tenant):
    placed = submission.submit("echo", {"n": 1}, tenant=tenant, key="daily", lane="orders")
    return Task.objects.get(pk=placed.task_id)


@pytest.fixture
def schedule(tenant, definition):
    return Schedule.objects.create(
        tenant=tenant, name="nightly", definition_name="echo", cron="0 3 * * *"
    )


@pytest.fixture
def token(tenant):
    return tokens.issue(tenant, "ci", ["tasks:read"])[0]


@pytest.fixture
def world(tenant, boss, swarm, definition, task, schedule, token):
    """At least one row of every model of accounts and coordination."""
    now = timezone.now()
    Membership.objects.create(user=boss, tenant=tenant, role="admin")
    IdempotentRequest.objects.create(actor="token:1", key="k", fingerprint="f")
    audit.record("swarm.pause", "swarm", swarm.pk, actor="user:1", tenant=tenant)
    Agent.objects.create(swarm=swarm, name="a-1", role="analyst")
    worker = WorkerNode.objects.create(
        name="cpu@host",
        boot_id=uuid.uuid4(),
        pool="cpu",
        hostname="host",
        pid=7,
        concurrency=2,
        beat_at=now,
        previous_beat_at=now,
        lease_expires_at=now + timedelta(seconds=6),
        started_at=now,
    )
    Attempt.objects.create(
        task_id=task.pk,
        fence=1,
        number=1,
        definition=definition,
        swarm=swarm,
        worker=worker,
        outcome="failed",
        started_at=now,
        ended_at=now,
        wait_ms=3.25,
        run_ms=12.5,
        error_type="ValueError",
        error_message="<script>alert(1)</script>",
        log="a line that the handler logged",
    )
    TaskBody.objects.create(task_id=task.pk, kind="result", content={"x": 1})
    Blob.objects.create(sha256="0" * 64, size=3, data=b"abc")
    nodes = [NodeRequest(name=name, definition="echo") for name in ("a", "b")]
    runs.submit_run("pair", nodes, [EdgeRequest(parent="a", child="b")], tenant=tenant)
    LimitSet.objects.create(definition=task.definition, swarm=swarm)
    Lease.objects.update_or_create(
        name="coordinator",
        defaults={
            "holder": "host:1",
            "term": 3,
            "elected_at": now,
            "renewed_at": now,
            "steady_since": now,
            "expires_at": now + timedelta(seconds=5),
        },
    )
    Firing.objects.create(schedule=schedule, due_at=now, task_id=task.pk)
    Counter.objects.update_or_create(name="fenced", defaults={"total": 1})
    return {"task": task, "lane": Lane.objects.get()}


@pytest.fixture
def end():
    """Bring ready tasks to an end along the allowed moves, without a worker."""

    def bring(status, *ids, **fields):
        for step in (Status.DISPATCHED, Status.RUNNING, status):
            Task.objects.filter(pk__in=ids).update(status=step, **fields)

    return bring
