"""`/livez` and `/readyz`, with and without a database."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from ansf_platform.services.ports import free_port
from ansf_platform.services.probes import http_answers, wait_until


@pytest.mark.django_db
def test_a_migrated_database_is_ready(client):
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_a_missing_migration_is_not_ready_and_named(client):
    MigrationRecorder(connection).record_unapplied("healthchecks", "0001_initial")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["pending"] == ["healthchecks.0001_initial"]
    assert "migrate" in answer.json()["detail"]


def test_liveness_asks_no_database(client):
    # Without the django_db mark every query is an error.
    answer = client.get("/livez")

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_only_reading_is_allowed(client, path):
    assert client.post(path).status_code == 405


def get(port, path):
    web = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        web.request("GET", path)
        answer = web.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        web.close()


@contextmanager
def served(here):
    port = free_port()
    command = ("-m", "uvicorn", "ansf_platform.asgi:application", "--port", str(port))
    with here.running(*command, "--log-level", "critical"):
        assert wait_until(lambda: http_answers(f"http://127.0.0.1:{port}/livez"), 20)
        yield port


@pytest.mark.slow
def test_a_process_without_its_database_is_alive_and_not_ready(installation):
    away = f"postgres://ansf:secret@127.0.0.1:{free_port()}/ansf"
    here = installation(DATABASE_URL=away, SECRET_KEY="k" * 50)

    with served(here) as port:
        ready, told = get(port, "/readyz")
        alive, _ = get(port, "/livez")

    assert (alive, ready) == (200, 503)
    assert told["database"] == "unreachable"
    assert "secret" not in json.dumps(told)


@pytest.mark.postgres
@pytest.mark.fault
def test_a_process_is_ready_again_when_its_database_is_back(installation, fresh_postgres):
    server = fresh_postgres()
    here = installation(DATABASE_URL=server.create_database("ready"), SECRET_KEY="k" * 50)
    assert here.run("migrate", "-v0").returncode == 0

    with served(here) as port:
        before = get(port, "/readyz")[0]
        server.stop(immediate=True)
        during = get(port, "/readyz")[0], get(port, "/livez")[0]
        server.start()
        after = get(port, "/readyz")[0]

    assert (before, during, after) == (200, (503, 200), 200)
