"""Probes that read coordination's rows."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from ansf_platform.accounts.models import Tenant
from coordination.models import Lease, Status, Swarm, Task, TaskDefinition, WorkerNode
from healthchecks.monitor import State
from healthchecks.probes import measure

pytestmark = pytest.mark.django_db


def look(check):
    return measure(check, timezone.now())


@pytest.fixture
def tenant():
    return Tenant.objects.get_or_create(slug="default")[0]


def make_tasks(tenant, count, *, pool="cpu", waited=0, status=Status.READY):
    swarm = Swarm.objects.get_or_create(tenant=tenant, slug="backend")[0]
    definition = TaskDefinition.objects.get_or_create(tenant=tenant, name="d", handler="h")[0]
    ready_at = timezone.now() - timedelta(seconds=waited)
    Task.objects.bulk_create(
        Task(
            tenant=tenant,
            swarm=swarm,
            definition=definition,
            pool=pool,
            priority=5,
            status=status,
            ready_at=ready_at,
        )
        for _ in range(count)
    )


def make_worker(pool, *, lease=60, stopped=False):
    now = timezone.now()
    WorkerNode.objects.create(
        name=f"{pool}@host",
        boot_id=uuid.uuid4(),
        pool=pool,
        hostname="host",
        pid=1,
        concurrency=1,
        beat_at=now,
        previous_beat_at=now,
        started_at=now,
        lease_expires_at=now + timedelta(seconds=lease),
        stopped_at=now if stopped else None,
    )


@pytest.mark.parametrize(
    ("ready", "state"), [(0, State.OK), (2, State.OK), (3, State.DEGRADED), (5, State.FAILED)]
)
def test_the_depth_is_judged_by_its_limits(unsaved, tenant, ready, state):
    make_tasks(tenant, ready)
    make_tasks(tenant, 10, status=Status.RUNNING)

    found = look(unsaved("queue_depth", params={"degraded": 2, "failed": 4}))

    assert (found.state, found.value) == (state, ready)


def test_the_depth_can_be_of_one_pool_and_of_one_tenant(unsaved, tenant):
    other = Tenant.objects.create(slug="other")
    make_tasks(tenant, 3, pool="cpu")
    make_tasks(tenant, 2, pool="io")
    make_tasks(other, 4, pool="io")

    assert look(unsaved("queue_depth")).value == 9
    assert look(unsaved("queue_depth", "io")).value == 6
    assert look(unsaved("queue_depth", tenant=tenant)).value == 5


def test_the_oldest_ready_task_counts(unsaved, tenant):
    make_tasks(tenant, 1, waited=100)
    make_tasks(tenant, 1, waited=1)
    make_tasks(tenant, 1, waited=9000, status=Status.DISPATCHED)
    params = {"degraded_seconds": 50, "failed_seconds": 500}

    found = look(unsaved("oldest_age", params=params))

    assert found.state is State.DEGRADED
    assert 99 < found.value < 200


def test_nothing_waiting_has_no_age(unsaved):
    found = look(unsaved("oldest_age"))

    assert (found.state, found.value) == (State.OK, 0.0)


def test_a_pool_without_a_living_worker_is_failed_and_the_fix_starts_one(unsaved):
    make_worker("cpu", lease=-1)
    make_worker("cpu", stopped=True)
    make_worker("io")

    cpu, io, both = (look(unsaved("worker_leases", pool)) for pool in ("cpu", "io", ""))

    assert [cpu.state, io.state, both.state] == [State.FAILED, State.OK, State.FAILED]
    assert "worker --pool cpu" in cpu.fix
    assert io.value == 1


def test_more_workers_than_one_can_be_asked_for(unsaved):
    make_worker("io")

    found = look(unsaved("worker_leases", "io", params={"at_least": 2}))

    assert found.state is State.FAILED


@pytest.mark.parametrize("name", ["coordinator", "watch"])
def test_a_lease_is_ok_while_held_and_failed_when_over_or_never_taken(unsaved, name):
    check = unsaved(f"{name}_lease")
    never = look(check)
    now = timezone.now()
    lease = Lease.objects.create(
        name=name,
        holder="me",
        term=3,
        elected_at=now,
        renewed_at=now,
        steady_since=now,
        expires_at=now + timedelta(seconds=60),
    )
    held = look(check)
    lease.expires_at = now - timedelta(seconds=60)
    lease.save()
    over = look(check)

    assert [never.state, held.state, over.state] == [State.FAILED, State.OK, State.FAILED]
    assert "term 3" in held.message
    assert "ended 6" in over.message
