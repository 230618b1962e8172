"""Waiting for the turn to write to a SQLite file: bounded, exact, and over when the holder dies."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time

import pytest
from django.db import OperationalError, connection, transaction

from ansf_platform.sqlite import base
from tests.databases import in_threads, pointed_at

PATIENCE_S = 0.3
HOLD = """
import sqlite3, sys, time
holder = sqlite3.connect(sys.argv[1], isolation_level=None)
holder.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.sqlite3"


@pytest.fixture
def patience():
    return PATIENCE_S


@pytest.fixture
def rows(path, patience, django_db_blocker):
    """A table with one counter, in a file."""
    options = {
        "transaction_mode": "IMMEDIATE",
        "timeout": patience,
        "init_command": "PRAGMA journal_mode=WAL",
    }
    config = {"ENGINE": "ansf_platform.sqlite", "NAME": str(path), "OPTIONS": options}
    with django_db_blocker.unblock(), pointed_at(config):
        execute("CREATE TABLE counter (value integer NOT NULL)")
        execute("INSERT INTO counter VALUES (0)")
        yield


@pytest.fixture
def holder(rows, path):
    """Another connection, which is writing."""
    raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    raw.execute("BEGIN IMMEDIATE")
    yield raw
    raw.close()


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def counted() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM counter")
        return cursor.fetchone()[0]


def count() -> None:
    execute("UPDATE counter SET value = value + 1")


def patience_ms() -> int:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("patience", [30.0])
def test_writers_at_once_take_turns_inside_and_outside_of_transactions(rows, patience):
    def write():
        for number in range(50):
            if number % 2:
                count()
            else:
                with transaction.atomic():
                    count()

    in_threads(write, write, write, write)

    assert counted() == 200


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "UPDATE counter SET value = 1"])
def test_a_turn_that_does_not_come_is_an_error_after_the_timeout(holder, statement):
    begun = time.monotonic()

    with pytest.raises(OperationalError, match="database is locked"):
        execute(statement)

    assert PATIENCE_S <= time.monotonic() - begun < PATIENCE_S + 5
    assert patience_ms() == PATIENCE_S * 1000


def test_the_wait_is_many_short_steps(holder, monkeypatch):
    steps = []

    def sleep(seconds):
        steps.append(seconds)
        if len(steps) == 30:
            holder.execute("COMMIT")

    monkeypatch.setattr(base.time, "sleep", sleep)

    count()

    assert counted() == 1
    assert len(steps) == 30
    assert max(steps) <= 1.5 * base.LONGEST_STEP_SECONDS
    assert steps[0] <= 1.5 * base.FIRST_STEP_SECONDS


def test_reading_waits_for_nobody(holder, monkeypatch):
    monkeypatch.setattr(base.time, "sleep", pytest.fail)

    assert counted() == 0


def test_an_error_of_the_statement_is_told_at_once(rows, monkeypatch):
    monkeypatch.setattr(base.time, "sleep", pytest.fail)

    with pytest.raises(OperationalError, match="no such table"):
        execute("DELETE FROM nowhere")


def test_the_turn_of_a_killed_process_is_free_again(rows, path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(OperationalError, match="database is locked"):
            count()
        process.kill()

    count()

    assert counted() == 1
