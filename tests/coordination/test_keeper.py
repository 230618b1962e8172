"""The leader's duties: each is done, and one that goes wrong holds up no other."""

from __future__ import annotations

from datetime import timedelta
from threading import Event

import pytest
from django.db import OperationalError

from ansf_platform.celery import MEMORY
from coordination import coordinator, schedules
from coordination.models import Schedule
from coordination.sizing import Sizes
from gateway.models import LedgerEntry, Period, Rollup
from tests.coordination.steps import ago, lead, now


def schedule(tenant, name, **columns):
    made = Schedule.objects.create(
        tenant=tenant, name=name, definition_name="accept", interval_seconds=60.0
    )
    Schedule.objects.filter(pk=made.pk).update(next_at=ago(1), **columns)
    return made


def test_a_schedule_that_knows_no_next_time_holds_up_no_other(definition, tenant):
    term = lead().term
    broken = schedule(
        tenant, "broken", cron="0 0 * * *", interval_seconds=None, timezone="Mars/Olympus"
    )
    Schedule.objects.filter(pk=broken.pk).update(next_at=ago(5))
    sound = schedule(tenant, "sound")

    assert schedules.fire_due(term) == 1
    assert schedules.fire_due(term) == 0
    broken.refresh_from_db()
    sound.refresh_from_db()
    assert broken.next_at is None
    assert "Mars/Olympus" in broken.last_error
    assert sound.next_at > now() + timedelta(seconds=1)


def test_a_definition_deleted_while_it_was_submitted_is_nobodys_to_run(db):
    sizes = Sizes()
    assert sizes.of(404).capabilities
    assert sizes.definition(404).handler == ""


@pytest.mark.parametrize("error", [OperationalError("timed out"), coordinator.Deposed("over")])
def test_a_duty_that_fails_keeps_none_after_it_from_being_done(monkeypatch, db, error):
    done = Event()

    def fail(term):
        raise error

    def last(term):
        done.set()
        replica.stop()

    monkeypatch.setattr(coordinator, "ERROR_SECONDS", 0.0)
    monkeypatch.setattr(coordinator.lifecycle, "expire", lambda term: None)
    monkeypatch.setattr(coordinator.lifecycle, "judge", fail)
    monkeypatch.setattr(coordinator.schedules, "fire_due", lambda term: None)
    monkeypatch.setattr(coordinator.lifecycle, "take_back_unclaimed", lambda term: None)
    monkeypatch.setattr(coordinator.reconciliation, "reconcile", lambda term: None)
    monkeypatch.setattr(coordinator, "_forget", last)
    monkeypatch.setattr(coordinator, "_sum_up_spending", lambda term: None)
    replica = coordinator.Coordinator(MEMORY)
    replica._leadership.acquire_or_renew()

    replica._keep()
    assert done.is_set()


def test_the_leader_sums_up_the_spending_of_ended_days(tenant, monkeypatch):
    paid = {"cost": 7, "baseline": 7, "at": ago(2 * 86_400)}
    LedgerEntry.objects.create(tenant=tenant, model="small", **paid)
    sum_up = coordinator._sum_up_spending
    replica = coordinator.Coordinator(MEMORY)

    def last(term):
        sum_up(term)
        replica.stop()

    monkeypatch.setattr(coordinator, "_sum_up_spending", last)
    replica._leadership.acquire_or_renew()

    replica._keep()
    assert Rollup.objects.get(period=Period.DAY, cost=7).calls == 1
