"""Two requests with one Idempotency-Key at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import call_command
from django.db import connection, connections

from ansf_platform.accounts.models import IdempotentRequest
from ansf_platform.settings import database_from
from coordination.api import tasks
from coordination.models import Task
from tests.databases import _postgres_config, on_postgres, pointed_at

__all__ = ["_postgres_config"]

BODY = {"definition": "demo.add", "payload": {"x": 1}}
PATIENCE = 20  # seconds until a hanging test fails


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def db(request, django_db_blocker, tmp_path):
    """A database that threads share: in SQLite's case a file."""
    if request.param == "postgresql":
        yield from on_postgres(request, django_db_blocker)
        return
    with django_db_blocker.unblock(), pointed_at(database_from(f"sqlite:///{tmp_path}/rows")):
        call_command("migrate", verbosity=0)
        yield request.param


@pytest.fixture
def slow(monkeypatch):
    """Submissions that wait inside their transaction; (entered, go_on)."""
    entered, go_on = threading.Event(), threading.Event()
    submit_many = tasks.submit_many

    def submit_slowly(*args, **kwargs):
        found = submit_many(*args, **kwargs)
        entered.set()
        assert go_on.wait(PATIENCE)
        return found

    monkeypatch.setattr(tasks, "submit_many", submit_slowly)
    return entered, go_on


def post(api):
    try:
        return api.post("tasks", BODY, Idempotency_Key="one")
    finally:
        connections.close_all()


def test_a_request_whose_twin_still_runs_is_not_done_twice(db, api, definition, slow):
    entered, go_on = slow
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(post, api)
        assert entered.wait(PATIENCE)
        second = pool.submit(post, api)
        if connection.vendor == "postgresql":
            assert second.result(PATIENCE).status_code == 409
            go_on.set()
        else:  # the second waits for the first's transaction
            go_on.set()
            assert second.result(PATIENCE)["Idempotency-Replayed"] == "true"
        assert first.result(PATIENCE).status_code == 202

    assert Task.objects.count() == IdempotentRequest.objects.count() == 1
