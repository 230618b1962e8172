"""A deadlock is tried again by whoever is chosen as its victim, wherever tasks end."""

from __future__ import annotations

import threading

import pytest
from django.db import OperationalError, connection, transaction

from coordination import lifecycle, sql, swarms
from coordination.models import Lane, Status
from tests.coordination.steps import ago, claim, die, lead, plant, ready, status, worker
from tests.databases import in_threads

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("db", ["postgresql"], indirect=True),
]


def against(action, *, first, second):
    """Run `action`, which locks `second` and then `first`, against one who does it otherwise.

    The other waits long enough for PostgreSQL to choose `action` as the victim.
    """
    held, begun = threading.Event(), threading.Event()
    told = []

    def other():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '30s'")
            cursor.execute(*first)
            held.set()
            assert begun.wait(20)
            wait_for_a_waiter(cursor)
            cursor.execute(*second)

    def run():
        assert held.wait(20)
        with connection.cursor() as cursor:
            cursor.execute("SET deadlock_timeout = '500ms'")
        begun.set()
        told.append(action())

    in_threads(other, run)
    return told[0]


def wait_for_a_waiter(cursor):
    """Until somebody waits for a lock; the statement's own timeout is the deadline."""
    cursor.execute("SET LOCAL statement_timeout = '20s'")
    cursor.execute(
        """
        DO $$ BEGIN
            WHILE NOT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted) LOOP
                PERFORM pg_sleep(0.01);
            END LOOP;
        END $$
        """
    )


def lock_lane(key):
    return ("SELECT 1 FROM coordination_lane WHERE key = %s FOR UPDATE", [key])


def lock_task(task):
    return ("SELECT 1 FROM coordination_task WHERE id = %s FOR UPDATE", [task])


@pytest.fixture
def head(definition):
    """The head of a lane, with one more behind it."""
    found = ready(lane="l")
    ready(lane="l")
    return found


@pytest.fixture
def others(definition):
    """What the other transaction locks."""
    return lock_lane("l")


def test_an_ending_by_its_deadline_is_tried_again(head, others):
    plant(head, deadline=ago(1), due_at=ago(1))

    assert against(lambda: lifecycle.expire(None), first=others, second=lock_task(head)) == 1
    assert status(head) == Status.EXPIRED


def test_a_verdict_is_tried_again(head, others, tenant):
    term = lead(steady=True).term
    claim(head, by=worker(lease=-1))
    lifecycle.cancel(tenant.pk, [head])

    against(lambda: lifecycle.judge(term), first=others, second=lock_task(head))

    assert status(head) == Status.CANCELLED


def test_a_cancel_is_tried_again(head, others, tenant):
    found = against(
        lambda: lifecycle.cancel(tenant.pk, [head]), first=others, second=lock_task(head)
    )

    assert found == {head: "cancelled"}


def test_a_finish_is_tried_again(head, others):
    grip = claim(head)

    assert against(grip.finish, first=others, second=lock_task(head)).recorded == {head}


def test_lifting_a_halt_is_tried_again(definition):
    die(ready(lane="l"))
    waiting = ready(lane="l")
    lane = Lane.objects.get()

    assert against(lambda: swarms.go_on(lane), first=lock_task(waiting), second=lock_lane("l"))
    assert status(waiting) == Status.READY


def test_inside_a_callers_transaction_only_the_caller_can_start_over(head, others, tenant):
    def cancel():
        with transaction.atomic():
            lifecycle.cancel(tenant.pk, [head])

    with pytest.raises(OperationalError, match="deadlock"):
        against(cancel, first=others, second=lock_task(head))


def test_after_three_times_the_error_surfaces(db):
    tried = []

    @sql.retrying
    def hopeless():
        tried.append(1)
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$")

    with pytest.raises(OperationalError):
        hopeless()

    assert len(tried) == 4
