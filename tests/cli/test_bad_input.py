"""Wrong requests: exit code 2 (or 75), one line that says what and what next, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.db import OperationalError
from kombu.exceptions import OperationalError as BrokerError

from ansf_platform import terminal
from coordination import selectors

pytestmark = pytest.mark.django_db

NOBODY = "01890a5d-ac96-774b-bcce-b302099a8057"
WRONG = [
    ("task",),
    ("task", "frobnicate"),
    ("task", "show"),
    ("task", "show", "not-an-id"),
    ("task", "show", NOBODY),
    ("task", "logs", NOBODY),
    ("task", "logs", "not-an-id", "-f"),
    ("task", "list", "--status", "failed"),
    ("task", "list", "--priority", "10"),
    ("task", "list", "--limit", "0"),
    ("task", "list", "--limit", "1e9"),
    ("task", "list", "--since", "yesterday"),
    ("task", "list", "--since", "2030-01-01T00:00:00"),
    ("task", "list", "--run", "x"),
    ("task", "list", "--frobnicate"),
    ("task", "list", "--tenant", "nobody"),
    ("task", "cancel"),
    ("submit",),
    ("submit", "unknown"),
    ("submit", "echo", "--payload", "{"),
    ("submit", "echo", "--payload", "[1]"),
    ("submit", "echo", "--payload", '{"n": "text"}'),
    ("submit", "echo", "--payload", "{}", "-f", "-"),
    ("submit", "echo", "-f", "missing.json"),
    ("submit", "echo", "-f", "."),
    ("submit", "echo", "--priority", "-1"),
    ("submit", "echo", "--priority", "²"),
    ("submit", "echo", "--swarm", "unknown"),
    ("submit", "echo", "--delay", "soon"),
    ("submit", "echo", "--delay", "-5s"),
    ("submit", "echo", "--delay", "nan"),
    ("submit", "echo", "--deadline", "2020-01-01T00:00:00Z"),
    ("submit", "echo", "--deadline", "2030-99-01T00:00:00Z"),
    ("submit", "echo", "--key", "k" * 300),
    ("submit", "echo", "--tenant", "nobody"),
    ("submit", "echo", "--key", "\udcff"),
    ("submit", "echo", "--payload", '{"s": "\\u0000"}'),
    ("submit", "echo", "--payload", '{"s": "\\ud800"}'),
    ("submit", "\udcff"),
    ("task", "list", "--key", "\udcff"),
    ("run", "show", "x"),
    ("run", "show", NOBODY),
    ("run", "submit", "missing.json"),
    ("run", "list", "--limit", "x"),
    ("swarm", "show", "unknown"),
    ("swarm", "pause", "unknown"),
    ("swarm", "apply", "missing.yaml"),
    ("swarm", "list", "--tenant", ""),
    ("dead", "replay", "x"),
    ("dead", "list", "--since", "x"),
    ("schedule", "run", "unknown"),
    ("schedule", "delete", "unknown", "--yes"),
    ("schedule", "create", "nightly", "echo"),
    ("schedule", "create", "nightly", "echo", "--cron", "99 * * * *"),
    ("schedule", "create", "nightly", "echo", "--every", "1ms"),
    ("schedule", "create", "nightly", "unknown", "--every", "5m"),
    ("schedule", "create", "no good name", "echo", "--every", "5m"),
    ("schedule", "create", "x", "echo", "--every", "5m", "--timezone", "Mars/Olympus"),
    ("lane", "skip", "unknown"),
    ("definition", "show", "unknown"),
    ("definition", "show", "echo", "--at", "99"),
    ("definition", "create", "new", "--handler", "unknown"),
    ("definition", "create", "new", "--schema", "[]"),
    ("definition", "create", "new", "--handler", "tests.echo", "--schema", '{"type": "x"}'),
    ("definition", "create", "new", "-f", "missing.json"),
    ("token", "create", "ci"),
    ("token", "create", "ci", "--scope", "everything"),
    ("token", "create", "", "--scope", "all"),
    ("token", "revoke", "9999"),
    ("token", "rotate", "99999999999999999999"),
    ("status", "--interval", "x"),
    ("status", "--tenant", "nobody"),
]


@pytest.mark.parametrize("argv", WRONG, ids=lambda argv: ascii(" ".join(argv)))
def test_a_wrong_request_gets_one_line_and_exit_code_2(fails, definition, argv, tmp_path):
    fails(2, *argv)


@pytest.mark.parametrize("argv", [("task", "--json", "show", NOBODY), ("submit", "x", "--json")])
def test_json_is_not_mixed_with_errors(manage, tenant, argv):
    assert manage(*argv).out == ""


@pytest.mark.parametrize(
    "document",
    [
        "[]",
        "{",
        '{"name": 1}',
        '{"name": "r", "nodes": {}}',
        '{"name": "r", "nodes": [1]}',
        '{"name": "r", "nodes": [{"name": "a"}]}',
        '{"name": "r", "nodes": [{"name": "a", "definition": 7}]}',
        '{"name": "r", "nodes": [{"name": "a", "definition": "unknown"}]}',
        '{"name": "r", "nodes": [{"name": "a", "definition": "echo", "colour": 1}]}',
        '{"name": "r", "nodes": [{"name": "a", "definition": "echo", "priority": "high"}]}',
        '{"name": "r", "nodes": [{"name": "a", "definition": "echo", "deadline": "soon"}]}',
        '{"name": "r", "nodes": [{"name": "a", "definition": "echo", "payload": []}]}',
        '{"name": "r", "nodes": [], "edges": [], "colour": 1}',
        (
            '{"name": "r", "nodes": [{"name": "a", "definition": "echo"}],'
            ' "edges": [{"parent": "a", "child": "a"}]}'
        ),
        (
            '{"name": "r", "nodes": [{"name": "a", "definition": "echo"}],'
            ' "edges": [{"parent": "a", "child": "b", "when": "never"}]}'
        ),
        '{"name": "\\ud800", "nodes": [{"name": "a", "definition": "echo"}]}',
        '{"name": "r", "nodes": [{"name": "\\u0000", "definition": "echo"}]}',
        '{"name": "r", "nodes": [{"name": "a", "definition": "echo", "group": "\\ud800"}]}',
        "[" * 100_000,
    ],
)
def test_a_wrong_run_is_refused_with_its_path(fails, definition, document):
    assert fails(2, "run", "submit", "-", stdin=document).startswith("run: -")


def test_a_wrong_payload_is_named_by_its_path(fails, definition):
    line = fails(2, "submit", "echo", "--payload", '{"n": "six"}')

    assert line == "submit: /payload/n: 'six' is not of type 'integer'"


def test_a_wrong_node_of_a_run_is_named_by_its_path(fails, definition):
    run = (
        '{"name": "r", "nodes": [{"name": "a", "definition": "echo"},'
        ' {"name": "b", "definition": "echo", "payload": {"n": "six"}}]}'
    )

    assert "/nodes/1/payload/n: 'six' is not of type" in fails(2, "run", "submit", "-", stdin=run)


def test_the_database_being_away_is_told_apart_from_a_wrong_request(fails, tenant, monkeypatch):
    def away(*_args, **_options):
        raise OperationalError("connection refused")

    monkeypatch.setattr(selectors, "tasks", away)

    assert "connection refused" in fails(75, "task", "list")


def test_the_broker_being_away_is_told_apart_too(fails, tenant, monkeypatch):
    def away(*_args, **_options):
        raise BrokerError("connection refused")

    monkeypatch.setattr(selectors, "swarm_overview", away)

    fails(75, "status")


def test_a_database_without_tables_names_the_command_that_makes_them(fails, tenant, monkeypatch):
    def missing(*_args, **_options):
        raise OperationalError("no such table: coordination_task")

    monkeypatch.setattr(selectors, "tasks", missing)

    assert "manage.py migrate" in fails(1, "task", "list")


def test_ctrl_c_exits_with_130(fails, tenant, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(selectors, "tasks", interrupt)

    fails(130, "task", "list")


def test_a_defect_is_one_line_too_and_says_how_to_see_more(fails, tenant, monkeypatch):
    def defect(*_args, **_options):
        return 1 / 0

    monkeypatch.setattr(selectors, "tasks", defect)

    assert "--traceback" in fails(1, "task", "list")


def test_traceback_shows_where_an_error_came_from(manage, tenant, monkeypatch):
    monkeypatch.setattr(selectors, "tasks", lambda *_args, **_options: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        manage("task", "list", "--traceback")


def test_a_reader_that_has_read_enough_is_no_error(manage, tenant, monkeypatch):
    def closed(*_args, **_options):
        raise BrokenPipeError

    discarded = []
    monkeypatch.setattr(selectors, "tasks", closed)
    monkeypatch.setattr(terminal, "discard_stdout", lambda: discarded.append(True))

    said = manage("task", "list")

    assert (said.code, said.err, discarded) == (0, "", [True])


@pytest.fixture
def process(tmp_path):
    """`manage.py` as the shell starts it: settings, imports and the exit itself count, too."""
    environment = {**os.environ, "ANSF_STATE_DIR": str(tmp_path), "DATABASE_URL": "", "DEBUG": "1"}
    for name in ("BROKER_URL", "REDIS_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE"):
        environment.pop(name, None)

    def run(*argv):
        return subprocess.run(
            [sys.executable, "manage.py", *argv],
            cwd=settings.BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_real_process_keeps_the_promise(process):
    ended = process("task", "show", "nonsense")

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert "not an id" in ended.stderr


def test_the_real_process_knows_the_handlers(process):
    process("migrate", "--verbosity", "0")

    ended = process("definition", "create", "mine", "--handler", "features.embed")

    assert (ended.returncode, ended.stdout) == (0, "mine v1\n"), ended.stderr
