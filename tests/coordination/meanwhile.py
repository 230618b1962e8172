"""Two things at once, in the order that hurts: the second waits for a lock that the first holds."""

from __future__ import annotations

import threading
import time

from django.db import connection, transaction

from tests.databases import in_threads

DEADLINE_S = 20.0
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def until_somebody_waits():
    """Until another session of this database waits for a lock."""
    give_up = time.monotonic() + DEADLINE_S
    while time.monotonic() < give_up:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # kept for a whole transaction
            cursor.execute(WAITING)
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits for a lock")


def one_after_the_other(first, second):
    """`first` in a transaction that commits once `second` waits for a lock; both results."""
    begun = threading.Event()

    def hold():
        with transaction.atomic():
            result = first()
            begun.set()
            until_somebody_waits()
        return result

    def follow():
        assert begun.wait(DEADLINE_S)
        return second()

    return in_threads(hold, follow)
