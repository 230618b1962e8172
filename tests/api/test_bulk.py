"""Bulks: all or none, or the right ones; the hand-written checks agree with the schema."""

from __future__ import annotations

from uuid import UUID

import pytest

from ansf_platform import schemas
from ansf_platform.accounts.models import AuditEntry
from coordination.api import task_requests, task_schemas
from coordination.models import Task

pytestmark = pytest.mark.django_db


def good(x=1, **fields):
    return {"definition": "demo.add", "payload": {"x": x}, **fields}


def test_a_bulk_submits_all_in_order_with_one_audit_entry(api, definition):
    response = api.post("tasks/bulk", {"tasks": [good(x) for x in range(300)]})

    assert response.status_code == 202
    told = response.json()
    assert (told["accepted"], told["created"], told["errors"]) == (300, 300, [])
    payloads = dict(Task.objects.values_list("id", "payload"))
    assert [payloads[UUID(t["id"])]["x"] for t in told["tasks"]] == list(range(300))
    assert AuditEntry.objects.get().detail == {"created": 300}


def test_one_wrong_item_refuses_all_and_every_wrong_item_is_named(api, definition, problem):
    items = [good(), {"definition": "demo.add", "payload": {"x": "1"}}, good(), {"x": 1}, 5]

    told = problem(api.post("tasks/bulk", {"tasks": items}), 422)

    assert [(error["index"], error["field"]) for error in told["errors"]] == [
        (3, "/x"),
        (3, "/definition"),
        (4, ""),
        (1, "/payload/x"),
    ]
    assert Task.objects.count() == 0


def test_partial_submits_the_right_ones_and_reports_the_others(api, definition):
    items = [good(), {"definition": "demo.add", "payload": {"x": "1"}}, good(), 5]

    told = api.post("tasks/bulk", {"tasks": items, "partial": True}).json()

    assert [task is not None for task in told["tasks"]] == [True, False, True, False]
    assert told["accepted"] == told["created"] == Task.objects.count() == 2
    assert [(error["index"], error["field"]) for error in told["errors"]] == [
        (1, "/payload/x"),
        (3, ""),
    ]


def test_partial_with_nothing_right_is_422(api, definition, problem):
    problem(api.post("tasks/bulk", {"tasks": [5, {}], "partial": True}), 422)


@pytest.mark.parametrize("partial", [False, True])
def test_one_key_twice_in_a_bulk_is_one_task(api, definition, partial):
    items = [good(key="a"), good(key="a"), good(key="b")]

    told = api.post("tasks/bulk", {"tasks": items, "partial": partial}).json()

    assert [task["created"] for task in told["tasks"]] == [True, False, True]
    assert told["tasks"][0]["id"] == told["tasks"][1]["id"]
    assert (told["accepted"], told["created"]) == (3, 2)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"tasks": []},
        {"tasks": {}},
        {"tasks": None},
        {"tasks": [{}], "partial": 1},
        {"tasks": [{}], "all": True},
        {"tasks": [{}] * 10_001},
    ],
)
def test_a_bulk_of_wrong_form_is_422(api, problem, body):
    problem(api.post("tasks/bulk", body), 422)


def test_errors_of_a_large_bulk_are_cut_and_counted(api, definition, problem):
    told = problem(api.post("tasks/bulk", {"tasks": [{}] * 3000}), 422)

    assert len(told["errors"]) == 1000
    assert told["errors_total"] == 3000


ITEMS = [
    good(),
    {"definition": "demo.add"},
    *(
        good(**{name: value})
        for name in task_requests.CHECKS
        for value in [
            None, True, 0, 1, 5.0, -1, 9, 10, 2**31, 1e10, -1e10, 1.5, "", "a", "a b", "a\n",
            "x" * 51, "x" * 101, "x" * 201, [], {}, "existing", "reject", "2030-01-01T00:00:00Z",
            "2030-01-01T00:00:00", "2030-13-01T00:00:00Z", "2030-01-01", "20300101T000000Z",
        ]
    ),
    good(colour="red"),
    {},
    [],
    "x",
]  # fmt: skip


@pytest.mark.parametrize("item", ITEMS, ids=str)
def test_the_checks_by_hand_agree_with_the_schema(item):
    request, _ = task_requests.read_one(item)
    by_schema = not schemas.check(task_schemas.TASK_SUBMIT, item)

    assert (request is not None) == by_schema
