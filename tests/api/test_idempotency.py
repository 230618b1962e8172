"""Idempotency-Key: the same request twice is done once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from ansf_platform.accounts import idempotency
from ansf_platform.accounts.models import IdempotentRequest
from coordination.models import Task

pytestmark = pytest.mark.django_db

BODY = {"definition": "demo.add", "payload": {"x": 1}}


def test_the_same_request_again_gets_the_same_answer_and_is_done_once(api, definition):
    first = api.post("tasks", BODY, Idempotency_Key="a")

    again = api.post("tasks", BODY, Idempotency_Key="a")

    assert not first.has_header("Idempotency-Replayed")
    assert again["Idempotency-Replayed"] == "true"
    assert (again.status_code, again.json()) == (202, first.json())
    assert again["Location"] == first["Location"]
    assert Task.objects.count() == 1


def test_a_quoted_key_is_the_same_key(api, definition):
    api.post("tasks", BODY, Idempotency_Key="a")

    assert api.post("tasks", BODY, Idempotency_Key='"a"')["Idempotency-Replayed"] == "true"


def test_a_key_with_another_body_is_422(api, definition, problem):
    api.post("tasks", BODY, Idempotency_Key="a")

    problem(api.post("tasks", {**BODY, "priority": 9}, Idempotency_Key="a"), 422)
    assert Task.objects.count() == 1


def test_a_key_at_another_address_is_422(api, definition, problem):
    api.post("tasks", BODY, Idempotency_Key="a")

    problem(api.post("tasks/bulk", {"tasks": [BODY]}, Idempotency_Key="a"), 422)


def test_keys_belong_to_their_token(api, api_with, definition):
    api.post("tasks", BODY, Idempotency_Key="a")

    other = api_with("tasks:write").post("tasks", BODY, Idempotency_Key="a")

    assert not other.has_header("Idempotency-Replayed")
    assert Task.objects.count() == 2


def test_a_refused_request_is_not_kept(api, definition, problem):
    problem(api.post("tasks", {**BODY, "payload": {}}, Idempotency_Key="a"), 422)

    assert IdempotentRequest.objects.count() == 0
    assert api.post("tasks", BODY, Idempotency_Key="a").status_code == 202


def test_a_key_is_forgotten_after_a_day(api, definition):
    api.post("tasks", BODY, Idempotency_Key="a")
    IdempotentRequest.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))

    assert not api.post("tasks", BODY, Idempotency_Key="a").has_header("Idempotency-Replayed")
    assert Task.objects.count() == 2


def test_old_answers_are_pruned_in_batches(api, definition):
    for key in "abc":
        api.post("tasks", BODY, Idempotency_Key=key)
    old = IdempotentRequest.objects.exclude(key="c")
    old.update(created_at=timezone.now() - timedelta(hours=25))

    assert idempotency.prune(limit=1) == 1
    assert idempotency.prune() == 1
    assert [row.key for row in IdempotentRequest.objects.all()] == ["c"]


@pytest.mark.parametrize("key", ["", '""', "k" * 256, "tab\there", "a b", "\xfc"])
def test_a_key_of_wrong_form_is_400(api, definition, problem, key):
    problem(api.post("tasks", BODY, Idempotency_Key=key), 400)


def test_a_replayed_bulk_is_the_same(api, definition):
    body = {"tasks": [BODY, BODY]}
    first = api.post("tasks/bulk", body, Idempotency_Key="a")

    assert api.post("tasks/bulk", body, Idempotency_Key="a").json() == first.json()
    assert Task.objects.count() == 2
