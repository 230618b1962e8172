"""A reader notices writes of other connections, on both databases, and mends a broken one."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connection

from coordination import sql
from dashboard import changes
from dashboard.changes import ChangeReader
from tests.dashboard.conftest import worker
from tests.databases import on_postgres, pointed_at

DEADLINE_S = 20.0


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    monkeypatch.setattr(changes, "ERROR_SECONDS", 0.05)


@pytest.fixture
def on_sqlite(tmp_path, django_db_blocker):
    """A migrated SQLite file behind the default connection."""
    config = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "rows.sqlite3")}
    with django_db_blocker.unblock(), pointed_at(config):
        call_command("migrate", verbosity=0)
        yield


@pytest.fixture
def on_server(request, django_db_blocker):
    """A migrated PostgreSQL database behind the default connection."""
    yield from on_postgres(request, django_db_blocker)


@contextmanager
def listening():
    """A running reader; the event it sets."""
    heard = threading.Event()
    reader = ChangeReader(heard.set)
    reader.start()
    try:
        yield heard
    finally:
        reader.stop(patience=DEADLINE_S)
        assert not reader._thread.is_alive()


def _until_heard(heard, act):
    """Act until it is heard: the reader may not have begun to look yet."""
    for _ in range(int(DEADLINE_S / 0.5)):
        act()
        if heard.wait(0.5):
            heard.clear()
            return True
    return False


def test_a_write_to_the_sqlite_file_is_noticed(on_sqlite):
    with listening() as heard:
        assert _until_heard(heard, worker)


@pytest.mark.postgres
class TestPostgres:
    def test_a_notification_is_heard(self, on_server):
        with listening() as heard:
            assert _until_heard(heard, sql.notify)

    def test_a_write_that_nobody_announces_is_noticed(self, on_server):
        with listening() as heard:
            assert _until_heard(heard, worker)

    def test_a_reader_whose_connection_is_ended_hears_again(self, on_server):
        end_others = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE %s AND pid <> pg_backend_pid()"
        )
        with listening() as heard:
            assert _until_heard(heard, sql.notify)
            with connection.cursor() as cursor:
                cursor.execute(end_others, ["%pg_stat_user_tables%"])
                assert cursor.rowcount >= 1
            assert _until_heard(heard, sql.notify)
