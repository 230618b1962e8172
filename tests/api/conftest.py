"""The cast of the API's tests: two tenants with tokens, and a client that speaks JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from ansf_platform.accounts import tokens
from ansf_platform.accounts.models import Tenant
from ansf_platform.accounts.scopes import SCOPES
from ansf_platform.celery import app
from coordination import payloads
from coordination.models import Status, Swarm, Task, TaskDefinition
from tests import status_guard

HANDLER = "tests.api.add"


@app.task(name=HANDLER)
def add(x: int) -> int:
    return x + 1


class Api:
    """A caller with one token; answers are Django's, with ``.json()``."""

    def __init__(self, secret: str, *, raise_request_exception: bool = True) -> None:
        self.client = Client(raise_request_exception=raise_request_exception)
        self.headers = {"Authorization": f"Bearer {secret}"} if secret else {}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        return self.client.generic(
            method,
            f"/api/v1/{path}",
            data,
            content_type=names.pop("Content-Type", "application/json"),
            headers={**self.headers, **names},
        )

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("PATCH", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("PUT", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.call("DELETE", path, **headers)


def caller(tenant: Tenant, *scopes: str) -> Api:
    _, secret = tokens.issue(tenant, "test", scopes or SCOPES)
    return Api(secret)


@pytest.fixture(autouse=True)
def validators(monkeypatch: Any) -> None:
    # Kept per definition's id for the life of a process, and tests give ids again.
    monkeypatch.setattr(payloads, "_validators", {})


@pytest.fixture
def api(tenant: Tenant) -> Api:
    """A caller who may do everything in the default tenant."""
    return caller(tenant)


@pytest.fixture
def stranger(other_tenant: Tenant) -> Api:
    """A caller who may do everything in another tenant."""
    return caller(other_tenant)


@pytest.fixture
def api_with(tenant: Tenant) -> Any:
    """Make a caller of the default tenant with these scopes only."""
    return lambda *scopes: caller(tenant, *scopes)


def problem_of(response: Any, status: int) -> dict[str, Any]:
    """The problem document, having checked its form."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = response.json()
    assert told["status"] == status
    assert told["request_id"] == response["X-Request-ID"]
    assert told["title"]
    assert told["detail"]
    return told


@pytest.fixture
def problem() -> Any:
    return problem_of


@pytest.fixture
def swarm(tenant: Tenant) -> Swarm:
    return Swarm.objects.get_or_create(tenant=tenant, slug="research")[0]


@pytest.fixture
def definition(tenant: Tenant, swarm: Swarm) -> TaskDefinition:
    """Takes ``{"x": integer}``; nothing runs it here."""
    schema = {
        "type": "object",
        "properties": {"x": {"type": "integer"}},
        "required": ["x"],
        "additionalProperties": False,
    }
    return TaskDefinition.objects.create(
        tenant=tenant, name="demo.add", handler=HANDLER, schema=schema, default_swarm=swarm
    )


@pytest.fixture
def submitted(api: Api, definition: TaskDefinition) -> Any:
    """Submit a task over REST; answers its id."""

    def submit(x: int = 1, **fields: Any) -> str:
        response = api.post("tasks", {"definition": "demo.add", "payload": {"x": x}, **fields})
        assert response.status_code in {200, 202}, response.content
        return str(response.json()["id"])

    return submit


@pytest.fixture
def walk() -> Any:
    """Move tasks to a status along TRANSITIONS, as dispatcher and worker would."""

    def move(status: str, *task_ids: str, **columns: Any) -> None:
        columns.setdefault("finished_at", timezone.now())
        status_guard.walk(Task.objects.filter(pk__in=task_ids), Status(status), **columns)

    return move
