"""Submitting joins the caller's transaction, names every mistake, and never half-happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, transaction

from coordination import TaskRequest, definitions, submit, submit_many
from coordination.errors import Invalid, NotFound, Refused
from coordination.models import LiveKey, Status, Task
from tests.coordination.steps import ago, get, now, ready, succeed


def wrong(error) -> list[tuple]:
    return [(item.index, item.field) for item in error.value.errors]


def test_a_submitted_task_is_ready_with_its_definitions_defaults(definition, swarms):
    answer = submit("accept", {"x": 1})

    task = Task.objects.get()
    assert (answer.task_id, answer.created) == (task.id, True)
    assert (task.status, task.priority, task.payload) == (Status.READY, 5, {"x": 1})
    assert (task.swarm_id, task.pool, task.fence) == (swarms["research"].pk, "cpu", 0)
    assert task.ready_at == task.created_at


def test_a_submission_joins_the_callers_transaction(definition):
    with transaction.atomic():
        submit("accept", key="k", lane="l")
        assert Task.objects.count() == 1
        transaction.set_rollback(True)

    assert Task.objects.count() == 0
    assert LiveKey.objects.count() == 0


def test_a_refused_batch_leaves_nothing_in_the_callers_transaction(definition):
    ready(key="held")

    with transaction.atomic():
        with pytest.raises(Refused):
            submit_many(
                [
                    TaskRequest(definition="accept", key="free"),
                    TaskRequest(definition="accept", key="held", on_conflict="reject"),
                ]
            )
        Task.objects.count()  # the transaction is still usable

    assert list(LiveKey.objects.values_list("key", flat=True)) == ["held"]


def test_the_guard_refuses_a_status_outside_the_transitions(definition):
    submit("accept")

    with pytest.raises(DatabaseError, match="not in TRANSITIONS"):
        Task.objects.update(status=Status.SUCCEEDED)


def test_one_mistake_refuses_the_whole_batch_and_every_mistake_is_named(tenant, swarms):
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    definitions.define(tenant, "strict", handler="tests.accept", schema=schema)
    requests = [
        TaskRequest(definition="strict", payload={"x": 1}),
        TaskRequest(definition="absent"),
        TaskRequest(definition="strict", payload={"x": "one"}, priority=10, swarm="nobody"),
        TaskRequest(definition="strict", payload=[1]),
    ]

    with pytest.raises(Invalid) as error:
        submit_many(requests)

    assert wrong(error) == [
        (1, "/definition"),
        (2, "/priority"),
        (2, "/payload/x"),
        (2, "/swarm"),
        (3, "/payload"),
    ]
    assert Task.objects.count() == 0


def test_without_all_or_nothing_the_right_ones_are_submitted(definition):
    requests = [
        TaskRequest(definition="accept"),
        TaskRequest(definition="absent"),
        TaskRequest(definition="accept", priority=9),
    ]

    result = submit_many(requests, all_or_nothing=False)

    assert [found is not None for found in result.submissions] == [True, False, True]
    assert [error.index for error in result.errors] == [1]
    assert sorted(Task.objects.values_list("priority", flat=True)) == [5, 9]


def test_ids_follow_the_order_of_a_batch(definition):
    result = submit_many([TaskRequest(definition="accept") for _ in range(50)])

    ids = [found.task_id for found in result.submissions]
    assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", -1),
        ("key", ""),
        ("key", "k" * 201),
        ("key", "a\x00b"),
        ("key", "a\ud800"),
        ("lane", "\udfffb"),
        ("lane", ""),
        ("deadline", datetime(2001, 1, 1)),  # noqa: DTZ001 - naive is what is refused
        ("deadline", datetime(2001, 1, 1, tzinfo=UTC)),
        ("not_before", datetime(2101, 1, 1)),  # noqa: DTZ001
    ],
)
def test_a_wrong_field_is_named(definition, field, value):
    with pytest.raises(Invalid) as error:
        submit("accept", **{field: value})

    assert wrong(error) == [(0, f"/{field}")]


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800"])
@pytest.mark.parametrize("field", ["definition", "swarm"])
def test_a_name_that_no_database_keeps_is_the_name_of_nothing(definition, field, name):
    options = {"definition": "accept", field: name}

    with pytest.raises(Invalid) as error:
        submit_many([TaskRequest(**options)])

    assert wrong(error) == [(0, f"/{field}")]


def test_a_key_of_200_characters_is_accepted(definition):
    assert get(ready(key="ü" * 200)).unique_key == "ü" * 200


def test_a_task_for_later_is_scheduled_and_due_then(definition):
    later = now() + timedelta(hours=1)

    task = get(ready(not_before=later))

    assert (task.status, task.due_at, task.ready_at) == (Status.SCHEDULED, later, None)


def test_a_deadline_before_the_time_to_start_is_what_is_due_first(definition):
    moment = now()

    task = get(ready(not_before=moment + timedelta(hours=2), deadline=moment + timedelta(hours=1)))

    assert task.due_at == task.deadline


def test_a_time_to_start_that_is_past_does_not_delay(definition):
    assert get(ready(not_before=ago(60))).status == Status.READY


def test_a_disabled_definition_takes_no_tasks(definition):
    definition.enabled = False
    definition.save()

    with pytest.raises(Invalid, match="accept v1 is disabled"):
        submit("accept")


def test_an_older_version_can_be_named(tenant, definition):
    newer = definitions.define(tenant, "accept", handler="tests.accept", max_attempts=1)

    assert get(ready()).definition_id == newer.pk
    assert get(ready(version=1)).definition_id == definition.pk


def test_an_unknown_or_disabled_tenant_is_not_found(definition, tenant):
    with pytest.raises(NotFound, match="'nobody'"):
        submit("accept", tenant="nobody")

    tenant.enabled = False
    tenant.save()
    with pytest.raises(NotFound, match="'default'"):
        submit("accept")


def test_text_with_tabs_newlines_and_backslashes_comes_back_as_it_went_in(definition):
    text = "tab\there\nnew\\line \\N \r \u2028 \U0001f600 'quoted' %s"

    task = get(ready(payload={"text": text}, key="a\tb\\n"))

    assert task.payload == {"text": text}
    assert task.unique_key == "a\tb\\n"


def test_an_ended_task_keeps_its_payload_and_result(definition):
    task = ready(payload={"x": 1})

    succeed(task, result={"y": 2})

    assert (get(task).payload, get(task).result) == ({"x": 1}, {"y": 2})
