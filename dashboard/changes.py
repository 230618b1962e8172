"""Notices that rows changed: one reader per process, which says only *that*, never what.

PostgreSQL tells by ``LISTEN ansf`` what waits and ends; what it does not announce (starts, beats,
readings) shows in the server's own write counters. A SQLite connection is told by ``PRAGMA
data_version`` whether another one wrote. The reader has a connection and a thread of its own and
runs only while somebody listens.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import DatabaseError, InterfaceError, connection

logger = logging.getLogger(__name__)

SQLITE_POLL_SECONDS = 0.25
POSTGRES_POLL_SECONDS = 1.0
ERROR_SECONDS = 2.0
CHANNEL = "ansf"

# The lease is renewed every second: as a change it would say that nothing has changed.
_WRITES = """
SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables
WHERE (relname LIKE 'coordination%%' OR relname LIKE 'healthchecks%%')
  AND relname <> 'coordination_lease'
"""


class ChangeReader:
    """A thread that calls `on_change` after each write it notices, until it is stopped."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dashboard-changes", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, patience: float = 0.0) -> None:
        """End soon; wait for the end at most `patience` seconds."""
        self._stopping.set()
        if patience and self._thread is not threading.current_thread():
            self._thread.join(patience)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                connection.ensure_connection()
                if connection.vendor == "postgresql":
                    self._read_postgres()
                else:
                    self._read_sqlite()
            except (DatabaseError, InterfaceError, psycopg.Error) as error:
                logger.warning("the dashboard hears no changes: %s", str(error).strip())
                self._stopping.wait(ERROR_SECONDS)
            finally:
                connection.close()

    def _read_postgres(self) -> None:
        raw: Any = connection.connection
        raw.execute(f"LISTEN {CHANNEL}")
        seen = self._number(_WRITES)
        while not self._stopping.is_set():
            due = time.monotonic() + POSTGRES_POLL_SECONDS
            for _ in raw.notifies(timeout=POSTGRES_POLL_SECONDS, stop_after=1):
                self._on_change()
            # Notifications may come without a pause: the counters are asked once a second at most.
            if time.monotonic() >= due:
                now = self._number(_WRITES)
                if now != seen:
                    self._on_change()
                seen = now

    def _read_sqlite(self) -> None:
        seen = self._number("PRAGMA data_version")
        while not self._stopping.wait(SQLITE_POLL_SECONDS):
            now = self._number("PRAGMA data_version")
            if now != seen:
                self._on_change()
            seen = now

    @staticmethod
    def _number(statement: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return int(cursor.fetchone()[0])
