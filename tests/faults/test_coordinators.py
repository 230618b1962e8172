"""Coordinators killed and frozen at the worst moment, on RabbitMQ and PostgreSQL."""

from __future__ import annotations

import time
from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from coordination.models import Lease, Status
from coordination.submission import TaskRequest, submit_many
from tests.faults.system import LEADER

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.postgres, pytest.mark.rabbitmq]

WITHIN_S = 10.0
RENEWALS_S = 3.0  # enough for a deposed leader to act, were it to
SECOND = "second"


def test_a_coordinator_killed_between_mark_and_publish_loses_nothing(full, verdict):
    leader = full.lead()
    full.worker("cpu", 2)
    ledger = full.ledger()
    name = full.definition("bench.effect")
    full.drain(full.submit(name, [{}] * 4))
    full.stack.broker.pause()  # a publish now hangs in its confirm
    hanging = full.submit(name, [{}] * 2)
    full.wait(lambda: full.in_status(hanging, Status.DISPATCHED) == 2, "two marks")
    unsent = full.submit(name, [{}] * 3)  # handed to a publisher that still waits
    full.wait(lambda: full.in_status(unsent, Status.DISPATCHED) == 3, "three marks")
    leader.kill()
    full.stack.broker.resume()
    assert full.in_status(unsent, Status.DISPATCHED) == 3
    killed_at = time.time()
    full.lead(steady=False)
    tasks = hanging + unsent
    full.drain(tasks)
    found = verdict(
        ledger.judge(
            "coordinator killed between mark and publish",
            tasks,
            recovery=full.seconds_until_restart(unsent, killed_at),
            recovered_by="kill to the last unsent task's start",
            remarks=["includes the start of another coordinator"],
        )
    )
    assert (found.lost, found.duplicate_effects, found.charged) == (0, 0, 0)


WATCH = """
CREATE TABLE IF NOT EXISTS bench_written (who text, term bigint, at timestamptz);
TRUNCATE bench_written;
CREATE OR REPLACE FUNCTION bench_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench_written SELECT current_setting('application_name'), l.term,
        clock_timestamp() FROM coordination_lease l
        WHERE l.name = 'coordinator' AND EXISTS (SELECT 1 FROM fresh);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER bench_note AFTER UPDATE ON coordination_task
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION bench_note();
"""
UNWATCH = "DROP TRIGGER bench_note ON coordination_task"
BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = %s AND wait_event_type = 'Lock' AND query LIKE '%%''expired''%%'
"""


def rows(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def watched(full):
    """The system, with a trigger that notes which process writes tasks in which term."""
    rows(WATCH)
    yield full
    rows(UNWATCH)


def term() -> int:
    return Lease.objects.get(name="coordinator").term


def submit_expiring(full, name, count):
    """Tasks whose deadline passes at once: only a leader's transaction ends them."""
    soon = timezone.now() + timedelta(seconds=1)
    requests = [TaskRequest(definition=name, deadline=soon) for _ in range(count)]
    return [s.task_id for s in submit_many(requests, tenant=full.tenant).submissions]


def test_a_frozen_coordinator_commits_nothing_of_its_old_term(watched, verdict):
    full = watched
    leader = full.lead()
    full.stack.coordinator(SECOND)
    full.wait(lambda: "coordinator" in full.stack.log(SECOND).read_text(), "a second replica")
    ledger = full.ledger()
    name = full.definition("bench.effect")
    tasks = full.submit(name, [{}] * 20)
    expiring = submit_expiring(full, name, 5)
    old = term()
    with psycopg.connect(full.stack.database_url, application_name="lock") as lock:
        lock.execute("LOCK TABLE coordination_task IN SHARE MODE")
        full.wait(lambda: rows(BLOCKED, LEADER)[0][0] > 0, "the leader to hang in a statement")
        leader.pause()
        frozen_at = time.monotonic()
        full.wait(lambda: term() > old, "another leader")
        takeover = time.monotonic() - frozen_at
        taken_over_at = rows("SELECT elected_at FROM coordination_lease")[0][0]
    full.wait(lambda: full.in_status(expiring, Status.EXPIRED) == 5, "the new leader's work")
    leader.resume()
    resumed_at = timezone.now()
    full.worker("cpu", 2)
    full.drain(tasks)
    later = resumed_at + timedelta(seconds=RENEWALS_S)
    full.wait(lambda: Lease.objects.get().renewed_at > later, "some renewals after the thaw")
    written = rows("SELECT who, term, at FROM bench_written")
    found = verdict(
        ledger.judge(
            "coordinator frozen in a statement",
            tasks,
            recovery=takeover,
            recovered_by="freeze to takeover",
            remarks=[f"{len(written)} writes watched"],
        )
    )
    assert (found.lost, found.duplicate_effects, found.re_executed) == (0, 0, 0)
    assert takeover < WITHIN_S
    assert term() == old + 1
    assert {who for who, *_ in written} >= {SECOND}
    late = [row for row in written if row[0] == LEADER and row[2] >= taken_over_at]
    assert not late
    assert all(at_term == old + 1 for who, at_term, _ in written if who == SECOND)
    assert leader.alive
