"""Databases whose tables are there already: migrated once for the session, then copied.

Applying every migration takes seconds; a copy takes a tenth of one. What starts from nothing, as a
user does, asks for none of these.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import dj_database_url
import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from ansf_platform.services.postgres import Postgres
from tests import status_guard
from tests.databases import IN_MEMORY, pointed_at

TEMPLATE = "migrated"


def migrate() -> None:
    """Apply every migration to ``connections["default"]``, and guard its statuses."""
    call_command("migrate", verbosity=0)
    status_guard.install(connection)


@pytest.fixture(scope="session")
def migrated_sqlite(django_db_blocker):
    """A connection to a migrated database in memory, to be copied from."""
    with django_db_blocker.unblock(), pointed_at(IN_MEMORY) as wrapper:
        migrate()
        wrapper.ensure_connection()
        source, wrapper.connection = wrapper.connection, None
    yield source
    source.close()


@pytest.fixture(scope="session")
def migrated_file(migrated_sqlite) -> Callable[[Path], None]:
    """Write a migrated SQLite database to a path."""

    def write(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as copy:
            migrated_sqlite.backup(copy)

    return write


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Postgres, django_db_blocker) -> Callable[[str], str]:
    """Make a migrated database of that name on the session's cluster; its URL."""
    config = dj_database_url.parse(postgres.create_database(TEMPLATE))
    with django_db_blocker.unblock(), pointed_at(config):
        migrate()

    def copy(name: str) -> str:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with psycopg.connect(postgres.url, autocommit=True) as admin:
            admin.execute(statement.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
        return postgres.database_url(name)

    return copy
