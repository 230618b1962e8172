"""Unique keys: at most one task that has not ended holds a key."""

from __future__ import annotations

import pytest

from coordination import TaskRequest, lifecycle, submit, submit_many
from coordination.errors import Refused
from coordination.models import LiveKey, Status, Task
from tests.coordination.steps import ago, die, get, plant, ready, retry, status, succeed
from tests.databases import in_threads


def test_a_key_held_by_a_live_task_answers_with_that_task(definition):
    first = submit("accept", key="k")

    again = submit("accept", {"other": True}, key="k")

    assert (again.task_id, again.created) == (first.task_id, False)
    assert Task.objects.count() == 1


def test_a_submitter_may_ask_to_be_refused_instead(definition):
    first = ready(key="k")

    with pytest.raises(Refused, match="'k' is held by task") as refusal:
        submit("accept", key="k", on_conflict="reject")

    assert refusal.value.existing == first


@pytest.mark.parametrize("end", [succeed, die])
def test_the_end_of_a_task_frees_its_key(definition, end):
    first = ready(key="k")

    end(first)

    assert LiveKey.objects.count() == 0
    assert ready(key="k") != first


def test_cancelling_and_expiring_free_the_key(definition, tenant):
    cancelled, expired = ready(key="a"), ready(key="b")
    plant(expired, deadline=ago(1), due_at=ago(1))

    lifecycle.cancel(tenant.pk, [cancelled])
    assert lifecycle.expire(None) == 1

    assert LiveKey.objects.count() == 0


def test_a_task_that_will_be_retried_keeps_its_key(definition):
    first = ready(key="k")

    retry(first)

    assert submit("accept", key="k").task_id == first


def test_within_a_batch_the_first_of_a_key_wins(definition):
    result = submit_many([TaskRequest(definition="accept", key=key) for key in "aba"])

    first, second, third = result.submissions
    assert (first.created, second.created, third.created) == (True, True, False)
    assert third.task_id == first.task_id
    assert Task.objects.count() == 2


def test_the_same_key_of_another_tenant_is_another_key(definition, tenant):
    other = type(tenant).objects.create(slug="other", name="Other")
    LiveKey.objects.create(tenant=other, key="k", task_id=definition_id(1))

    assert submit("accept", key="k").created


def definition_id(number):
    return f"{number:032x}"


def test_a_replayed_task_takes_its_key_again_where_it_is_free(definition, tenant):
    first, second = ready(key="a"), ready(key="b")
    die(first, second)
    thief = ready(key="b")

    lifecycle.replay(tenant.pk, [first, second])

    assert dict(LiveKey.objects.values_list("key", "task_id")) == {"a": first, "b": thief}
    assert (get(first).unique_key, get(second).unique_key) == ("a", None)
    assert status(second) == Status.READY
    succeed(second)
    assert LiveKey.objects.filter(key="b").exists()


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
@pytest.mark.postgres
def test_submissions_at_once_agree_on_one_task_per_key(definition):
    def burst():
        return [submit("accept", key=f"k{number}") for number in range(30)]

    told = in_threads(*[burst] * 6)

    assert Task.objects.count() == 30
    for same_key in zip(*told, strict=True):
        assert len({answer.task_id for answer in same_key}) == 1
        assert sum(answer.created for answer in same_key) == 1


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
@pytest.mark.postgres
def test_batches_with_the_same_keys_in_opposite_orders_do_not_deadlock(definition):
    keys = [f"k{number}" for number in range(100)]

    def burst(order):
        return lambda: submit_many([TaskRequest(definition="accept", key=key) for key in order])

    in_threads(*[burst(keys), burst(keys[::-1])] * 3)

    assert Task.objects.count() == 100
