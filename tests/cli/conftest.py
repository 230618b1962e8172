"""A caller of `manage.py` in this process: what it printed, and the code it exits with."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class

from ansf_platform import terminal
from ansf_platform.celery import app
from coordination import definitions
from coordination.models import Status, Swarm, Task


@app.task(name="tests.echo")
def echo(**payload):
    return payload


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def manage(capsys, monkeypatch):
    """Run a command as the shell does; the test's connection and its transaction stay open."""
    monkeypatch.setattr(terminal.connections, "close_all", lambda: None)

    def run(*argv, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        code = 0
        try:
            command = load_command_class(get_commands()[argv[0]], argv[0])
            command.run_from_argv(["manage.py", *map(str, argv)])
        except SystemExit as left:
            code = int(left.code or 0)
        written = capsys.readouterr()
        return Said(code, written.out, written.err)

    return run


@pytest.fixture
def swarm(tenant):
    return Swarm.objects.create(tenant=tenant, slug="research", weight=2)


@pytest.fixture
def definition(tenant, swarm):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    return definitions.define(
        tenant, "echo", handler="tests.echo", default_swarm=swarm, schema=schema
    )


@pytest.fixture
def fails(manage):
    """Assert the promise about errors: one line, this code, no traceback; the line."""

    def check(code, *argv, stdin=""):
        said = manage(*argv, stdin=stdin)
        assert said.code == code, said
        assert "Traceback" not in said.err
        # Log lines begin with the time; they are not the error.
        errors = [line for line in said.err.splitlines() if not line[:2].isdecimal()]
        assert len(errors) == 1, said.err
        assert errors[0].startswith(f"{argv[0]}: ")
        return errors[0]

    return check


@pytest.fixture
def end():
    """Bring ready tasks to an end along the allowed moves, without a worker."""

    def bring(status, *ids, **fields):
        for step in (Status.DISPATCHED, Status.RUNNING, status):
            Task.objects.filter(pk__in=ids).update(status=step, **fields)

    return bring
