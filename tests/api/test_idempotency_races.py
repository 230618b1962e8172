"""Two requests with one Idempotency-Key at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from ansf_platform.accounts.models import IdempotentRequest
from coordination.api import tasks
from coordination.models import Task

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {"definition": "demo.add", "payload": {"x": 1}}
PATIENCE = 20  # seconds until a hanging test fails


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


@pytest.fixture
def shared_file(db):
    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        pytest.skip("threads share a SQLite test database only in a file: set ANSF_TEST_SQLITE")


def test_a_request_whose_twin_still_runs_is_not_done_twice(shared_file, api, definition, slow):
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
