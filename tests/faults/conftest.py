"""The systems that are broken here, and the table of what became of their tasks."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager

import dj_database_url
import pytest
from django.conf import settings
from django.db import connection

import benchmarks.handlers  # noqa: F401 - definitions may name only handlers known here
from ansf_platform.services.errors import BinaryMissing
from benchmarks.stack import Stack
from tests import status_guard
from tests.databases import pointed_at
from tests.faults.system import System
from tests.faults.verdict import Verdict, table

HANDLERS = {"ANSF_HANDLERS": "benchmarks.handlers"}
_verdicts: list[Verdict] = []


def pytest_terminal_summary(terminalreporter):
    if _verdicts:
        terminalreporter.section("faults")
        for line in table(_verdicts):
            terminalreporter.write_line(line)


@pytest.fixture
def verdict(request):
    """Print a scenario's line and keep it for the table."""
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")

    def note(found: Verdict) -> Verdict:
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(found.line())
        _verdicts.append(found)
        return found

    return note


def _configuration(stack: Stack) -> dict:
    config = dict(dj_database_url.parse(stack.database_url))
    if stack.kind == "embedded":
        config["OPTIONS"] = settings.SQLITE_OPTIONS
    return config


@pytest.fixture(scope="session")
def _full_stack(tmp_path_factory):
    with ExitStack() as exits:
        yield _enter(exits, Stack("full", tmp_path_factory.mktemp("full"), HANDLERS))


def _enter(exits, stack):
    try:
        return exits.enter_context(stack)
    except BinaryMissing as absent:
        if os.environ.get("CI") == "true":
            pytest.fail(str(absent))
        pytest.skip(str(absent))


@contextmanager
def _seen(stack, blocker):
    """The system behind a stack, with the test's own connection pointed at its database."""
    with blocker.unblock(), pointed_at(_configuration(stack)):
        status_guard.install(connection)
        yield System(stack)


@pytest.fixture
def full(_full_stack, django_db_blocker):
    """PostgreSQL, RabbitMQ and Valkey of the session; processes are each test's own."""
    with _seen(_full_stack, django_db_blocker) as system:
        yield system
        system.heal()


@pytest.fixture
def embedded(tmp_path, migrated_file, django_db_blocker):
    """SQLite and Valkey, with a window that holds more than 500 envelopes."""
    migrated_file(tmp_path / "ansf.sqlite3")
    extra = {**HANDLERS, "ANSF_WINDOW_PER_SLOT": "300"}
    with ExitStack() as exits:
        stack = _enter(exits, Stack("embedded", tmp_path, extra))
        with _seen(stack, django_db_blocker) as system:
            yield system
            stack.stop_processes()
