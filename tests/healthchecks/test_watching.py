"""The watch, round by round in this process."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from django.db import OperationalError

from ansf_platform.services.probes import wait_until
from healthchecks import probes, watching
from healthchecks.definitions import COMMAND, create, switch
from healthchecks.measuring import take
from healthchecks.models import Flip, HealthCheck, Reading
from healthchecks.monitor import State
from healthchecks.probes.measurement import Measurement, Probe
from healthchecks.runner import AllStuck, Runner
from healthchecks.spec import CheckSpec
from healthchecks.watching import Watch

DEADLINE = 20.0  # seconds


# --- the runner ----------------------------------------------------------------------------
@pytest.fixture
def held(monkeypatch):
    """A probe that answers only when it is let go."""
    release = threading.Event()

    def run(_check, _now):
        release.wait(DEADLINE)
        return Measurement(State.OK, "at last")

    monkeypatch.setitem(probes.PROBES, "held", Probe(run, "waits"))
    yield release
    release.set()


def in_memory(kind, pk=1, **columns):
    return HealthCheck(pk=pk, name=f"c{pk}", kind=kind, **({"timeout_seconds": 0.1} | columns))


def collected(runner):
    found = []
    assert wait_until(lambda: bool(found.extend(runner.collect()) or found), DEADLINE)
    return found


def test_a_probe_that_is_late_is_a_failed_reading_and_its_answer_is_dropped(held, monkeypatch):
    monkeypatch.setattr("healthchecks.runner.GRACE", 0.0)
    runner = Runner()
    runner.start(in_memory("held"))

    late = collected(runner)
    held.set()
    assert wait_until(lambda: runner.collect() == [] and runner.idle, DEADLINE)

    assert [each.measurement.state for each in late] == [State.FAILED]
    assert "no answer within 0.1 s" in late[0].measurement.message


def test_a_probe_that_is_still_late_when_due_again_fails_again_and_is_not_started(
    held, monkeypatch
):
    monkeypatch.setattr("healthchecks.runner.GRACE", 0.0)
    runner = Runner(places=1)
    check = in_memory("held")
    runner.start(check)
    collected(runner)

    assert runner.start(check)

    assert [each.measurement.state for each in runner.collect()] == [State.FAILED]


def test_no_more_probes_run_at_once_than_there_are_places(held):
    runner = Runner(places=2)

    started = [runner.start(in_memory("held", pk)) for pk in (1, 2, 3)]

    assert started == [True, True, False]
    held.set()
    assert wait_until(lambda: runner.collect() is not None and runner.idle, DEADLINE)
    assert runner.start(in_memory("memory", 3))


def test_when_every_place_is_stuck_the_process_must_be_replaced(held, monkeypatch):
    monkeypatch.setattr("healthchecks.runner.GRACE", 0.0)
    runner = Runner(places=1)
    runner.start(in_memory("held", 1))
    collected(runner)

    with pytest.raises(AllStuck, match="restart"):
        runner.start(in_memory("held", 2))


# --- the watch, round by round --------------------------------------------------------------
class GivenLease:
    """A lease that is given and taken by the test."""

    def __init__(self, term=1):
        self.term = term
        self.error = None
        self.resigned = False

    def acquire_or_renew(self):
        if self.error:
            raise self.error
        return self.term

    def resign(self):
        self.resigned = True


@pytest.fixture
def watch(db, monkeypatch):
    """A watch whose probes answer at once, in this thread, without default checks."""
    monkeypatch.setattr(watching, "RENEW_EVERY", 0.0)
    monkeypatch.setattr(watching, "RELOAD_EVERY", 0.0)
    monkeypatch.setattr(watching, "ensure_default_checks", list)
    monkeypatch.setattr("healthchecks.timetable.FIRST_WITHIN", 0.0)
    monkeypatch.setattr(watching.connection, "close", lambda: None)
    monkeypatch.setattr(
        Runner, "start", lambda runner, check: runner._late.append(take(check)) or True
    )
    lease = GivenLease()
    made = Watch(lease, threading.Event())
    made.lease = lease
    return made


@pytest.mark.django_db
def test_the_leader_measures_enabled_checks_and_leaves_paused_ones(watch):
    create(None, CheckSpec(name="memory", kind="memory"), COMMAND)
    off = create(None, CheckSpec(name="off", kind="memory"), COMMAND)
    switch(off, COMMAND, enabled=False)

    watch.tick()

    assert [row.health_check.name for row in Reading.objects.all()] == ["memory"]
    assert Flip.objects.get().after == "ok"


@pytest.mark.django_db
def test_who_does_not_lead_measures_nothing(watch):
    create(None, CheckSpec(name="memory", kind="memory"), COMMAND)
    watch.lease.term = None

    watch.tick()

    assert Reading.objects.count() == 0


@pytest.mark.django_db
def test_what_was_measured_while_the_database_was_away_is_written_when_it_is_back(
    watch, caplog, monkeypatch
):
    create(None, CheckSpec(name="memory", kind="memory", interval_seconds=1.0), COMMAND)
    watch.tick()
    watch.lease.error = OperationalError("connection refused")
    monkeypatch.setattr(watch._timetable, "take_due", lambda _now: list(watch._checks))
    with caplog.at_level(logging.WARNING):
        watch.tick()
        watch.tick()
    assert Reading.objects.count() == 1

    watch.lease.error, watch.lease.term = None, 2
    watch.tick()

    assert Reading.objects.count() >= 3
    assert "connection refused" in caplog.text


@pytest.mark.django_db
def test_what_was_held_back_is_dropped_when_another_led_meanwhile(watch):
    create(None, CheckSpec(name="memory", kind="memory", interval_seconds=1.0), COMMAND)
    watch.tick()
    watch.lease.error = OperationalError("connection refused")
    watch._timetable.again(HealthCheck.objects.get().pk, time.monotonic())
    watch.tick()
    assert len(watch._found) == 1

    watch.lease.error, watch.lease.term = None, 3
    watch._timetable.take_due = lambda _now: []
    watch.tick()

    assert Reading.objects.count() == 1


@pytest.mark.django_db
def test_a_stopped_watch_resigns(watch):
    watch._stop.set()

    watch.run()

    assert watch.lease.resigned
