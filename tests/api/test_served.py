"""The API behind its real server, on a SQLite file: many callers at once, bodies in chunks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from ansf_platform import json_body
from ansf_platform.services.ports import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATIENCE = 60  # seconds
BODY = {"definition": "demo.add", "payload": {"x": 1}}
PREPARE = """
from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import Tenant
from ansf_platform.accounts.scopes import SCOPES
from coordination.models import Swarm, TaskDefinition
tenant, _ = Tenant.objects.get_or_create(slug="default", defaults={"name": "Default"})
swarm, _ = Swarm.objects.get_or_create(tenant=tenant, slug="research")
TaskDefinition.objects.create(
    tenant=tenant, name="demo.add", handler="none", default_swarm=swarm)
print("secret", tokens.issue(tenant, "test", SCOPES)[1])
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    state = tmp_path_factory.mktemp("served")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {**kept, "ANSF_STATE_DIR": str(state), "DEBUG": "1"}
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    prepared = subprocess.run(
        [*manage, "shell", "-v0", "-c", PREPARE],
        cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    secret = prepared.stdout.rpartition("secret ")[2].strip()
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "ansf_platform.asgi:application"]
    with (state / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port)], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        headers = {"Authorization": f"Bearer {secret}"}
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, timeout=PATIENCE
            ) as client:
                until_served(client, server)
                yield client
        finally:
            server.terminate()
            server.wait(PATIENCE)


def until_served(client: httpx.Client, server: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        assert server.poll() is None, "the server ended"
        try:
            assert client.get("/queues").status_code == 200
        except httpx.ConnectError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the server does not answer")


def test_a_body_in_chunks_without_a_length_is_read(api):
    raw = b'{"definition": "demo.add", "payload": {"x": 1}}'
    chunks = iter([raw[:20], raw[20:]])

    response = api.post("/tasks", content=chunks, headers={"Content-Type": "application/json"})

    assert response.status_code == 202, response.text


def test_many_callers_with_one_key_make_one_task(api):
    with ThreadPoolExecutor(8) as callers:
        answers = list(
            callers.map(
                lambda _: api.post("/tasks", json=BODY, headers={"Idempotency-Key": "one"}),
                range(16),
            )
        )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 15


def test_many_callers_are_all_served(api):
    before = len(api.get("/tasks?limit=500").json()["items"])
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: api.post("/tasks", json=BODY), range(80)))

    assert [answer.status_code for answer in answers] == [202] * 80
    assert len(api.get("/tasks?limit=500").json()["items"]) == before + 80


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("extra", [1, 1_000_000])
def test_a_body_beyond_the_limit_is_413_and_the_server_lives_on(api, announced, extra):
    block = b"x" * 65536
    body = block * (json_body.MAX_BYTES // len(block)) + b"x" * extra
    chunks = body if announced else (body[at : at + 65536] for at in range(0, len(body), 65536))

    response = api.post("/tasks", content=chunks, headers={"Content-Type": "application/json"})

    assert response.status_code == 413
    assert response.headers["Content-Type"] == "application/problem+json"
    assert api.get("/queues").status_code == 200


def test_an_unknown_address_is_a_problem_also_while_debugging(api):
    response = api.get("/nothing")

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


def test_the_page_of_the_api_and_its_style_are_served(api):
    page = api.get("/docs")

    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    style = api.get(f"http://127.0.0.1:{api.base_url.port}/static/ansf_platform/api-docs.css")
    assert style.status_code == 200
