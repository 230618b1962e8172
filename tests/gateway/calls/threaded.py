"""A database that threads can reach, for tests of many calls at once."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager

import pytest
from django.db import connection

from ansf_platform.settings import SQLITE_OPTIONS
from gateway import threads
from tests.databases import pointed_at


@contextmanager
def database_in(path):
    """A copy of the migrated database in a file, as the default one for the block."""
    config = {"ENGINE": "ansf_platform.sqlite", "NAME": str(path), "OPTIONS": SQLITE_OPTIONS}
    connection.ensure_connection()
    target = sqlite3.connect(path)
    connection.connection.backup(target)
    target.close()
    with pointed_at(config):
        yield


@pytest.fixture
def db(django_db_setup, django_db_blocker, tmp_path):
    """A database that threads can reach."""
    with django_db_blocker.unblock(), database_in(tmp_path / "rows.sqlite3"):
        yield


@pytest.fixture(autouse=True)
def threads_of_its_own(db):
    """The pipe's threads keep a connection; here it ends with the test's database."""
    yield
    threads.close()
