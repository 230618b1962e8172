"""The same test on SQLite and on PostgreSQL: a `db` that stands in for pytest-django's.

A package of tests that imports `db` into its conftest gets every test that touches rows twice:
once on a new in-memory SQLite, and, marked `postgres`, once on a database of the session's
cluster that is emptied afterwards. Nothing wraps the test in a transaction: what commits, and
what is retried after a deadlock, does so as in production.

``connections["default"]`` and its settings are pointed at that database for the test, so threads
that a test starts (through `in_threads`) reach it as well; on SQLite in memory they cannot.
"""

from __future__ import annotations

import threading
import uuid
from contextlib import contextmanager

import dj_database_url
import pytest
from django.db import connection, connections, transaction

THREADS_DEADLINE_S = 60.0
IN_MEMORY = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
KEPT = frozenset({"django_migrations", "django_content_type", "auth_permission"})


@contextmanager
def pointed_at(config):
    """Let ``connections["default"]`` be a new connection to that database for the block."""
    settings, previous = connections.settings["default"], connections["default"]
    connections.settings["default"] = connections.configure_settings({"default": config})["default"]
    connections["default"] = connections.create_connection("default")
    try:
        yield connections["default"]
    finally:
        # An in-memory database ignores Django's close().
        wrapper = connections["default"]
        wrapper.close()
        if wrapper.connection is not None:
            wrapper.connection.close()
        connections.settings["default"] = settings
        connections["default"] = previous


@pytest.fixture(scope="session")
def _pristine_sqlite(migrated_sqlite):
    """A migrated database in memory, copied for each test."""
    return migrated_sqlite


@pytest.fixture(scope="session")
def _postgres_config(migrated_postgres, django_db_blocker):
    """A migrated database on the session's cluster: its settings, and how to empty it."""
    # Each package that imports this fixture has one of its own, on the same cluster.
    config = dj_database_url.parse(migrated_postgres(f"rows_{uuid.uuid4().hex[:8]}"))
    with django_db_blocker.unblock(), pointed_at(config):
        return config, *rows_to_keep()


def rows_to_keep():
    """What migrations put into tables, as statements that put it back."""
    tables = [t for t in connection.introspection.table_names() if t not in KEPT]
    kept = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608 - a table of ours
            names = ", ".join(f'"{column[0]}"' for column in cursor.description)
            marks = ", ".join(["%s"] * len(cursor.description))
            rows = cursor.fetchall()
            if rows:
                kept[f"INSERT INTO {table} ({names}) VALUES ({marks})"] = rows  # noqa: S608
    return tables, kept


def _empty(tables, kept) -> None:
    """Delete what a test wrote, whatever refers to it, and put back what migrations wrote."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("; ".join(f"DELETE FROM {table}" for table in tables))  # noqa: S608
        for statement, rows in kept.items():
            cursor.executemany(statement, rows)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def db(request, django_db_blocker):
    """An empty, migrated database behind ``connections["default"]``; its vendor."""
    if request.param == "sqlite":
        pristine = request.getfixturevalue("_pristine_sqlite")
        with django_db_blocker.unblock(), pointed_at(IN_MEMORY) as wrapper:
            wrapper.ensure_connection()
            pristine.backup(wrapper.connection)
            yield request.param
        return
    yield from on_postgres(request, django_db_blocker)


def on_postgres(request, django_db_blocker):
    """The PostgreSQL half of `db`, for tests that need threads."""
    config, tables, kept = request.getfixturevalue("_postgres_config")
    with django_db_blocker.unblock(), pointed_at(config):
        try:
            yield "postgresql"
        finally:
            _empty(tables, kept)


def in_threads(*functions, deadline_s=THREADS_DEADLINE_S):
    """Run functions at once, each with its own connection; their results. Re-raises the first."""
    results, errors = [None] * len(functions), []
    start = threading.Barrier(len(functions))

    def run(index, function):
        try:
            start.wait(deadline_s)
            results[index] = function()
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            errors.append(error)
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=run, args=(index, function), daemon=True)
        for index, function in enumerate(functions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline_s)
    assert not any(thread.is_alive() for thread in threads), "a thread did not end in time"
    if errors:
        raise errors[0]
    return results
