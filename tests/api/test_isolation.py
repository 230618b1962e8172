"""Another tenant's objects do not exist: every address with an id, every method."""

from __future__ import annotations

import pytest
from django.utils import timezone

from ansf_platform.accounts import tokens
from ansf_platform.openapi import document
from coordination.models import Agent, Attempt, Lane, Outcome, Schedule, Task
from gateway.models import RouteRecord
from patterns import memory, namespaces

pytestmark = pytest.mark.django_db

# Shared by all tenants on purpose, or another package's to test.
SHARED = {
    "workers",
    "health-checks",
    "gateway/providers",
    "gateway/models",
    "gateway/cache",
}


def resource_of(path):
    """What an address is about: its first word, of the gateway's the second too."""
    words = path.split("/")[3:]
    return "/".join(words[:2]) if words[0] == "gateway" else words[0]


@pytest.fixture
def ids(api, tenant, swarm, definition, submitted):
    """One object of the default tenant for every parameter of an address."""
    task_id = submitted(lane="lane")
    node = {"name": "a", "definition": "demo.add", "payload": {"x": 1}}
    run = api.post("runs", {"name": "r", "nodes": [node]}).json()
    schedule = Schedule.objects.create(
        tenant=tenant,
        name="nightly",
        definition_name="demo.add",
        cron="0 3 * * *",
        payload={"x": 1},
    )
    attempt = Attempt.objects.create(
        task_id=task_id, fence=1, number=1, definition=definition, swarm=swarm,
        outcome=Outcome.FAILED, ended_at=timezone.now(),
    )  # fmt: skip

    def made(path, body):
        return api.post(path, body).json()["id"]

    namespace = namespaces.create(tenant, {"slug": "shapes", "dimension": 2})
    return {
        ("swarms", "slug"): swarm.slug,
        ("agents", "agent_id"): Agent.objects.create(swarm=swarm, name="a1").pk,
        ("task-definitions", "name"): definition.name,
        ("task-definitions", "version"): 1,
        ("tasks", "task_id"): task_id,
        ("attempts", "attempt_id"): attempt.pk,
        ("runs", "run_id"): run["id"],
        ("lanes", "lane_id"): Lane.objects.get().pk,
        ("schedules", "name"): schedule.name,
        ("namespaces", "slug"): namespace.slug,
        ("patterns", "pattern_id"): memory.add(namespace, [1.0, 2.0]).id,
        ("limits", "limit_id"): made("limits", {"name": "slow", "limit": 1}),
        ("gateway/policies", "row_id"): made("gateway/policies", {"name": "frugal"}),
        ("gateway/budgets", "row_id"): made("gateway/budgets", {"name": "cap", "soft": 5}),
        ("gateway/routes", "route_id"): RouteRecord.objects.create(tenant=tenant).pk,
        ("tokens", "token_id"): tokens.issue(tenant, "ci", ["tasks:read"])[0].pk,
    }


# What each change needs to get past the checks of its body.
BODIES = {
    ("PATCH", "agents"): {"slots": 2},
    ("PATCH", "gateway/budgets"): {"soft": 6},
    ("PATCH", "gateway/policies"): {"ttl_seconds": 60},
    ("PATCH", "limits"): {"limit": 2},
    ("PATCH", "namespaces"): {"quota": 2},
    ("PATCH", "swarms"): {"weight": 2},
    ("PATCH", "lanes"): {"on_dead": "skip"},
    ("PATCH", "schedules"): {"priority": 1},
    ("PATCH", "task-definitions"): {"enabled": False},
    ("PUT", "task-definitions"): {"handler": "tests.api.add"},
}


def operations():
    """Every (method, path, parameters) of the document whose path holds an id."""
    for path, methods in document()["paths"].items():
        resource = resource_of(path)
        if resource in SHARED or "{" not in path:
            continue
        for method, told in methods.items():
            names = [p["name"] for p in told["parameters"] if p["in"] == "path"]
            yield pytest.param(method.upper(), path, names, id=f"{method.upper()} {path}")


@pytest.mark.parametrize(("method", "path", "names"), list(operations()))
def test_another_tenants_object_is_404_and_ones_own_is_not(
    api, stranger, problem, ids, method, path, names
):
    resource = resource_of(path)
    address = path.format(**{name: ids[resource, name] for name in names})
    address = address.removeprefix("/api/v1/")
    body = BODIES.get((method, resource))
    tasks = list(Task.objects.order_by("id").values())

    problem(stranger.call(method, address, body), 404)

    assert list(Task.objects.order_by("id").values()) == tasks
    assert api.call(method, address, body).status_code in {200, 201, 202, 204, 409}


@pytest.mark.parametrize(
    "path",
    [
        "swarms", "agents", "task-definitions", "tasks", "runs", "lanes", "schedules",
        "dead-letters", "queues", "namespaces", "patterns",
    ],
)  # fmt: skip
def test_lists_hold_nothing_of_another_tenant(stranger, ids, walk, path):
    walk("dead", ids["tasks", "task_id"])

    assert stranger.get(path).json()["items"] == []


def test_a_strangers_list_of_tokens_and_changes_is_its_own(stranger, ids):
    assert [token["name"] for token in stranger.get("tokens").json()["items"]] == ["test"]
    assert stranger.get("audit").json()["items"] == []


@pytest.mark.parametrize("query", ["swarm=research", "definition=demo.add", "run={run}"])
def test_a_filter_by_a_foreign_name_finds_nothing(stranger, ids, query):
    query = query.format(run=ids["runs", "run_id"])

    assert stranger.get(f"tasks?{query}").json()["items"] == []


def test_a_foreign_definition_or_swarm_cannot_be_submitted_to(stranger, ids, problem):
    told = problem(stranger.post("tasks", {"definition": "demo.add", "payload": {"x": 1}}), 422)
    assert told["errors"][0]["field"] == "/definition"


def test_a_foreign_dead_letter_is_missing(stranger, ids, walk):
    task_id = ids["tasks", "task_id"]
    walk("dead", task_id)

    told = stranger.post("dead-letters/replay", {"ids": [task_id]}).json()
    assert told["outcomes"] == {task_id: "missing"}
    assert stranger.post("dead-letters/replay", {"filter": {}}).json()["replayed"] == 0
    assert Task.objects.get(pk=task_id).status == "dead"


def test_a_key_of_another_tenant_is_free(api, stranger, other_tenant, definition, swarm, submitted):
    submitted(key="daily")
    swarm.pk, swarm.tenant = None, other_tenant
    swarm.save()
    definition.pk, definition.tenant, definition.default_swarm = None, other_tenant, swarm
    definition.save()

    body = {"definition": "demo.add", "payload": {"x": 1}, "key": "daily"}
    assert stranger.post("tasks", body).json()["created"] is True
