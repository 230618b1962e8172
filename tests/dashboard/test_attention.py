"""Each thing that needs a human is told once, with what to do; what is well is not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from coordination.models import Agent, Lane, Lease
from dashboard.board import board_of
from healthchecks.models import HealthCheck, Reading
from tests.dashboard.conftest import lead, worker


@pytest.fixture
def concerns(tenant):
    """What the board says now: level, title, and the way out."""

    def look():
        return [(c.level, c.title, c.command or c.address) for c in board_of(tenant).concerns]

    return look


@pytest.fixture
def definition(place):
    return place.definition("look", place.swarm("research"))


def test_a_healthy_platform_needs_nobody(staff, place, definition, concerns):
    place.tasks(definition)
    place.check("gateway")
    assert concerns() == []


def test_nobody_leads(tenant, concerns):
    Lease.objects.all().delete()
    assert concerns() == [("critical", "No coordinator leads", "python manage.py coordinate")]


def test_a_leader_whose_lease_ran_out_leads_no_more(tenant, concerns):
    lead(seconds=-1)
    assert [title for _, title, _ in concerns()] == ["No coordinator leads"]


def test_work_for_a_pool_that_nobody_serves(place, definition, concerns):
    lead()
    worker("io")
    assert concerns() == []
    place.tasks(definition)
    wanted = ("critical", "No worker serves the cpu pool", "python manage.py worker --pool cpu")
    assert concerns() == [wanted]


def test_a_draining_worker_serves_nobody_new(place, definition, concerns):
    lead()
    worker("cpu", draining=True)
    place.tasks(definition)
    assert [title for _, title, _ in concerns()] == ["No worker serves the cpu pool"]


def test_a_worker_that_fell_silent(staff, concerns):
    worker("io", lease=-30)
    level, title, way = concerns()[0]
    assert (level, title) == ("warning", "1 io worker fell silent in the last hour")
    assert way == "/admin/coordination/workernode/"


def test_a_worker_that_said_goodbye_is_no_concern(staff, concerns):
    worker("io", lease=-30, stopped_at=timezone.now())
    assert concerns() == []


def test_a_paused_swarm_matters_only_while_something_waits(staff, place, definition, concerns):
    swarm = definition.default_swarm
    swarm.paused = True
    swarm.save()
    assert concerns() == []
    place.tasks(definition)
    wanted = ("warning", "Swarm research is paused", "python manage.py swarm resume research")
    assert concerns() == [wanted]


def test_a_swarm_without_an_enabled_agent_and_with_work(staff, place, definition, concerns):
    Agent.objects.filter(swarm=definition.default_swarm).update(enabled=False)
    assert concerns() == []
    place.tasks(definition)
    level, title, way = concerns()[0]
    assert (level, title) == ("critical", "Swarm research has no enabled agent")
    assert way == "/admin/coordination/agent/"


@pytest.mark.parametrize(
    ("severity", "state", "level", "title"),
    [
        ("critical", "failed", "critical", "Check gateway failed"),
        ("warning", "failed", "warning", "Check gateway failed"),
        ("critical", "degraded", "warning", "Check gateway is degraded"),
    ],
)
def test_a_check_that_is_not_well(staff, place, concerns, severity, state, level, title):
    place.check("gateway", state, severity=severity)
    assert concerns() == [(level, title, "python manage.py doctor")]


def test_a_paused_check_is_no_concern(staff, place, concerns):
    place.check("gateway", "failed", enabled=False)
    assert concerns() == []


def test_checks_that_are_not_measured_any_more_are_told_once(staff, place, concerns):
    for name in ("one", "two"):
        place.check(name)
    long_ago = timezone.now() - timedelta(hours=1)
    HealthCheck.objects.update(counted_since=long_ago)
    Reading.objects.update(at=long_ago)
    assert concerns() == [("warning", "2 checks not measured in time", "python manage.py watch")]


def test_the_check_of_the_leader_does_not_repeat_what_is_told_already(place, concerns):
    place.check("coordinator", "failed")
    HealthCheck.objects.update(kind="coordinator_lease")
    assert [title for _, title, _ in concerns()] == ["No coordinator leads"]


def test_a_halted_lane_is_told_with_a_command_that_a_shell_takes(staff, place, concerns):
    Lane.objects.create(tenant=place.tenant, key="orders of today", halted=True)
    way = "python manage.py lane skip 'orders of today'"
    assert concerns() == [("warning", "Lane orders of today is halted", way)]


def test_dead_letters(staff, place, definition, concerns):
    place.dead(place.tasks(definition, 2))
    assert concerns() == [("warning", "2 dead letters", "python manage.py dead list")]


def test_critical_things_come_first(place, definition, concerns):
    place.dead(place.tasks(definition, 1))
    place.tasks(definition)
    lead()
    assert [level for level, _, _ in concerns()] == ["critical", "warning"]
