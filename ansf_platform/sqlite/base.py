"""The backend's connection and cursor; Django finds this module by its name."""

from __future__ import annotations

import random
import sqlite3
import time
from typing import Any

from django.db.backends.sqlite3.base import DatabaseWrapper as SQLiteDatabaseWrapper
from django.db.backends.sqlite3.base import SQLiteCursorWrapper

FIRST_STEP_SECONDS = 0.000_2
LONGEST_STEP_SECONDS = 0.002  # a refused attempt costs about ten microseconds
GROWTH = 1.2
READING = ("SELECT", "PRAGMA")


class Cursor(SQLiteCursorWrapper):
    """A cursor whose writing statements wait for their turn in short steps."""

    def execute(self, query: str, params: Any = None) -> Any:
        """Run one statement. Raises sqlite3.OperationalError when the turn did not come."""
        if self.connection.in_transaction or query.startswith(READING):
            return super().execute(query, params)
        raw = self.connection
        patience_ms = raw.execute("PRAGMA busy_timeout").fetchone()[0]
        raw.execute("PRAGMA busy_timeout = 0")
        try:
            return self._in_turn(query, params, time.monotonic() + patience_ms / 1000)
        finally:
            raw.execute(f"PRAGMA busy_timeout = {patience_ms}")

    def _in_turn(self, query: str, params: Any, give_up: float) -> Any:
        step = FIRST_STEP_SECONDS
        while True:
            try:
                return super().execute(query, params)
            except sqlite3.OperationalError as error:
                if not _busy(error) or time.monotonic() > give_up:
                    raise
            # Two who wait alike would ask at the same moments for ever.
            time.sleep(step * random.uniform(0.5, 1.5))
            step = min(step * GROWTH, LONGEST_STEP_SECONDS)


class DatabaseWrapper(SQLiteDatabaseWrapper):
    """Django's, with such cursors."""

    def create_cursor(self, name: str | None = None) -> Cursor:
        """A cursor of the connection."""
        cursor: Cursor = self.connection.cursor(factory=Cursor)
        return cursor


def _busy(error: sqlite3.OperationalError) -> bool:
    """Whether another connection is writing (its extended codes say of what kind)."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
