"""Tasks over REST: submitted, shown, listed, cancelled, retried."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from ansf_platform.accounts.models import AuditEntry
from coordination.api import endpoint
from coordination.models import Attempt, Outcome, Status, Task

pytestmark = pytest.mark.django_db


def test_a_submission_is_202_with_its_location_and_stored(api, definition):
    response = api.post("tasks", {"definition": "demo.add", "payload": {"x": 1}, "priority": 9})

    assert response.status_code == 202
    told = response.json()
    assert response["Location"] == f"/api/v1/tasks/{told['id']}"
    assert told["created"] is True
    task = Task.objects.get(pk=told["id"])
    assert (task.status, task.priority) == (Status.READY, 9)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id) == ("task.submit", told["id"])


def test_a_task_is_shown_whole(api, submitted):
    shown = api.get(f"tasks/{submitted(x=5)}").json()

    assert shown["definition"] == "demo.add"
    assert shown["swarm"] == "research"
    assert shown["payload"] == {"x": 5}
    assert shown["result"] is None
    assert shown["error"] is None
    assert [event["what"] for event in shown["timeline"]] == ["submitted", "ready"]


def test_the_error_of_the_last_attempt_is_shown(api, submitted, definition, swarm):
    task_id = submitted()
    for fence, kind in ((1, "OSError"), (2, "ValueError")):
        Attempt.objects.create(
            task_id=task_id, fence=fence, number=fence, definition=definition, swarm=swarm,
            outcome=Outcome.FAILED, error_type=kind, error_message="no", log=f"{kind}\n",
            ended_at=timezone.now(),
        )  # fmt: skip

    assert api.get(f"tasks/{task_id}").json()["error"] == {"type": "ValueError", "message": "no"}
    attempts = api.get(f"tasks/{task_id}/attempts").json()["items"]
    assert [attempt["number"] for attempt in attempts] == [1, 2]
    assert api.get(f"attempts/{attempts[1]['id']}").json()["log"] == "ValueError\n"
    assert api.get(f"tasks/{task_id}/logs").json()["log"] == "OSError\nValueError\n"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"payload": {"x": "one"}}, "/payload/x"),
        ({"payload": {"x": 1, "y": 2}}, "/payload"),
        ({"payload": []}, "/payload"),
        ({"definition": "demo.nothing"}, "/definition"),
        ({"definition": 5}, "/definition"),
        ({"definition": None}, "/definition"),
        ({"swarm": "nowhere"}, "/swarm"),
        ({"swarm": "no where"}, "/swarm"),
        ({"priority": 10}, "/priority"),
        ({"priority": True}, "/priority"),
        ({"priority": 10**200}, "/priority"),
        ({"priority": 1.5}, "/priority"),
        ({"version": 7}, "/definition"),
        ({"deadline": "2001-01-01T00:00:00Z"}, "/deadline"),
        ({"deadline": "2030-02-30T00:00:00Z"}, "/deadline"),
        ({"deadline": "0001-01-01T00:00:00+23:59"}, "/deadline"),
        ({"not_before": "2030-01-01"}, "/not_before"),
        ({"not_before": 5}, "/not_before"),
        ({"key": ""}, "/key"),
        ({"key": "k" * 201}, "/key"),
        ({"lane": ["a"]}, "/lane"),
        ({"rank": "high"}, "/rank"),
        ({"on_conflict": "replace"}, "/on_conflict"),
        ({"on_conflict": {}}, "/on_conflict"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_a_wrong_submission_is_422_names_the_field_and_stores_nothing(
    api, definition, problem, fields, field
):
    body = {"definition": "demo.add", "payload": {"x": 1}, **fields}

    told = problem(api.post("tasks", body), 422)

    assert [error["field"] for error in told["errors"]] == [field]
    assert "index" not in told["errors"][0]
    assert Task.objects.count() == 0


@pytest.mark.parametrize("body", [[], 5, "x", None])
def test_a_body_that_is_no_object_is_422(api, problem, body):
    problem(api.post("tasks", b"null" if body is None else body), 422)


def test_a_taken_key_answers_with_the_task_that_holds_it(api, submitted, problem):
    first = submitted(key="daily")

    again = api.post("tasks", {"definition": "demo.add", "payload": {"x": 2}, "key": "daily"})

    assert again.status_code == 200
    assert again.json() == {"id": first, "created": False}
    refused = api.post(
        "tasks",
        {"definition": "demo.add", "payload": {"x": 2}, "key": "daily", "on_conflict": "reject"},
    )
    assert problem(refused, 409)["existing"] == first


def test_waiting_answers_with_the_ended_task(api, submitted, walk):
    task_id = submitted(key="k")
    walk("succeeded", task_id)

    response = api.get(f"tasks/{task_id}", Prefer="wait=5")
    assert response.json()["status"] == "succeeded"


def test_a_submission_that_waits_is_answered_with_the_ended_task(
    api, definition, walk, monkeypatch
):
    def ends_meanwhile(task_id, seconds):
        assert seconds == 5
        walk("succeeded", str(task_id))
        return True

    monkeypatch.setattr("coordination.selectors.wait_for", ends_meanwhile)

    response = api.post("tasks", {"definition": "demo.add", "payload": {"x": 1}}, Prefer="wait=5")

    assert (response.status_code, response["Preference-Applied"]) == (200, "wait=5")
    assert response.json()["status"] == "succeeded"
    assert response["Location"].endswith(response.json()["id"])


def test_a_wait_is_bounded_and_so_are_those_who_wait(api, submitted, monkeypatch):
    waited = []
    monkeypatch.setattr("coordination.selectors.wait_for", lambda _, s: waited.append(s))
    task_id = submitted()

    api.get(f"tasks/{task_id}", Prefer="wait=999")
    monkeypatch.setattr(endpoint, "WAITERS", threading.BoundedSemaphore(1))
    with endpoint.WAITERS:
        response = api.get(f"tasks/{task_id}", Prefer="wait=9")

    assert waited == [endpoint.MAX_WAIT]
    assert not response.has_header("Preference-Applied")


def test_a_submission_that_waits_in_vain_is_still_202(api, definition):
    response = api.post(
        "tasks", {"definition": "demo.add", "payload": {"x": 1}}, Prefer="respond-async, wait=1"
    )

    assert response.status_code == 202
    assert response["Preference-Applied"] == "wait=1"


@pytest.mark.parametrize("given", ["wait=x", "wait=-1", "await=9", "wait"])
def test_a_preference_nobody_understands_is_ignored(api, submitted, given):
    assert not api.get(f"tasks/{submitted()}", Prefer=given).has_header("Preference-Applied")


def test_a_waiting_task_is_cancelled_at_once_and_audited(api, submitted, problem):
    task_id = submitted()

    response = api.post(f"tasks/{task_id}/cancel")

    assert response.status_code == 200
    assert response.json()["outcome"] == "cancelled"
    assert Task.objects.get(pk=task_id).status == Status.CANCELLED
    assert AuditEntry.objects.filter(action="task.cancel", object_id=task_id).count() == 1
    problem(api.post(f"tasks/{task_id}/cancel"), 409)


def test_a_running_task_is_asked_to_stop(api, submitted, walk):
    task_id = submitted()
    walk("running", task_id)

    response = api.post(f"tasks/{task_id}/cancel")

    assert (response.status_code, response.json()["outcome"]) == (202, "requested")
    assert Task.objects.get(pk=task_id).cancel_requested_at is not None


def test_only_what_ended_badly_is_retried(api, submitted, walk, problem):
    task_id = submitted()
    problem(api.post(f"tasks/{task_id}/retry"), 409)

    walk("dead", task_id)
    assert api.post(f"tasks/{task_id}/retry").status_code == 202
    assert Task.objects.get(pk=task_id).status == Status.READY


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=ready", [3, 1]),
        ("status=dead", [2]),
        ("swarm=research", [3, 2, 1]),
        ("swarm=nowhere", []),
        ("definition=demo.add", [3, 2, 1]),
        ("definition=other", []),
        ("priority=7", [3]),
        ("key=three", [3]),
        ("created_after=2001-01-01T00:00:00Z", [3, 2, 1]),
        ("created_after=0001-01-01T00:00:00Z", [3, 2, 1]),
        ("created_after=9999-12-31T23:59:59Z", []),
        ("created_before=2001-01-01T00:00:00Z", []),
        (f"run={uuid4()}", []),
    ],
)
def test_filters_choose_tasks(api, submitted, walk, query, expected):
    numbers = {submitted(): 1, submitted(): 2, submitted(priority=7, key="three"): 3}
    walk("dead", list(numbers)[1])

    items = api.get(f"tasks?{query}").json()["items"]

    assert [numbers[item["id"]] for item in items] == expected


@pytest.mark.parametrize("query", ["status=failed", "priority=x", "run=1", "created_after=now"])
def test_a_wrong_filter_is_400(api, problem, query):
    problem(api.get(f"tasks?{query}"), 400)


def test_a_page_of_tasks_costs_the_same_queries_however_many(
    api, submitted, django_assert_max_num_queries
):
    for number in range(30):
        submitted(x=number)

    with django_assert_max_num_queries(5):  # token, its use, tasks, definitions, swarms
        page = api.get("tasks?limit=25").json()

    assert len(page["items"]) == 25
    rest = api.get(f"tasks?limit=25&cursor={page['next']}").json()
    assert len(rest["items"]) == 5
    assert rest["next"] is None
    ids = [UUID(item["id"]) for item in page["items"] + rest["items"]]
    assert ids == sorted(ids, reverse=True)


def test_scheduled_for_later_waits(api, submitted):
    later = (timezone.now() + timedelta(hours=1)).isoformat()

    assert api.get(f"tasks/{submitted(not_before=later)}").json()["status"] == "scheduled"


@pytest.mark.parametrize("path", ["tasks/{}", "tasks/{}/logs", "tasks/{}/attempts"])
def test_an_unknown_task_is_404(api, problem, path):
    problem(api.get(path.format(uuid4())), 404)


def test_reading_needs_less_than_writing(api_with, definition, problem):
    reader = api_with("tasks:read")

    assert reader.get("tasks").status_code == 200
    problem(reader.post("tasks", {"definition": "demo.add", "payload": {"x": 1}}), 403)
