"""Lanes: one task of a lane in flight, in the order of submission, whatever happens to one."""

from __future__ import annotations

import pytest

from coordination import TaskRequest, lifecycle, submit_many, swarms
from coordination.models import Lane, LaneEntry, Status, Task
from tests.coordination.steps import (
    ago,
    claim,
    die,
    get,
    now,
    plant,
    ready,
    retry,
    status,
    succeed,
)
from tests.databases import in_threads


@pytest.fixture
def lane(definition):
    """Three tasks of one lane, in order."""
    requests = [TaskRequest(definition="accept", lane="l") for _ in range(3)]
    return [found.task_id for found in submit_many(requests).submissions]


def states(*ids):
    return [status(task) for task in ids]


def test_only_the_head_of_a_lane_is_ready(lane):
    assert states(*lane) == [Status.READY, Status.BLOCKED, Status.BLOCKED]


def test_each_end_hands_over_to_the_next_in_order(lane):
    first, second, third = lane

    succeed(first)
    assert states(second, third) == [Status.READY, Status.BLOCKED]
    succeed(second)
    assert states(third) == [Status.READY]
    succeed(third)

    assert LaneEntry.objects.count() == 0


def test_a_task_joins_behind_those_of_earlier_submissions(lane):
    succeed(lane[0])

    late = ready(lane="l")

    assert status(late) == Status.BLOCKED
    assert LaneEntry.objects.order_by("-seq").first().task_id == late


def test_a_retrying_head_blocks_its_lane(lane):
    retry(lane[0])

    assert states(*lane) == [Status.SCHEDULED, Status.BLOCKED, Status.BLOCKED]


def test_a_dead_head_halts_its_lane_until_it_is_told_to_go_on(lane):
    die(lane[0])
    late = ready(lane="l")

    assert Lane.objects.get().halted
    assert states(*lane, late) == [Status.DEAD, *[Status.BLOCKED] * 3]
    assert swarms.go_on(Lane.objects.get())
    assert states(lane[1], lane[2], late) == [Status.READY, Status.BLOCKED, Status.BLOCKED]
    assert not swarms.go_on(Lane.objects.get())


def test_a_lane_may_skip_dead_heads(lane):
    Lane.objects.update(on_dead=Lane.OnDead.SKIP)

    die(lane[0])

    assert not Lane.objects.get().halted
    assert states(lane[1], lane[2]) == [Status.READY, Status.BLOCKED]


def test_cancelling_in_the_middle_leaves_the_rest_in_order(lane, tenant):
    lifecycle.cancel(tenant.pk, [lane[1]])
    assert states(lane[0], lane[2]) == [Status.READY, Status.BLOCKED]

    succeed(lane[0])

    assert status(lane[2]) == Status.READY


def test_cancelling_the_head_hands_over(lane, tenant):
    lifecycle.cancel(tenant.pk, [lane[0]])

    assert states(lane[1], lane[2]) == [Status.READY, Status.BLOCKED]


def test_cancelling_the_head_and_the_next_at_once_hands_over_to_the_third(lane, tenant):
    lifecycle.cancel(tenant.pk, lane[:2])

    assert status(lane[2]) == Status.READY


def test_a_halted_lane_stays_halted_when_its_next_task_is_cancelled(lane, tenant):
    die(lane[0])

    lifecycle.cancel(tenant.pk, [lane[1]])

    assert status(lane[2]) == Status.BLOCKED
    swarms.go_on(Lane.objects.get())
    assert status(lane[2]) == Status.READY


def test_a_halted_and_empty_lane_makes_a_new_task_wait(definition):
    die(ready(lane="l"))

    late = ready(lane="l")

    assert status(late) == Status.BLOCKED
    swarms.go_on(Lane.objects.get())
    assert status(late) == Status.READY


def test_a_replayed_head_joins_at_the_end_of_its_lane(lane, tenant):
    die(lane[0])

    lifecycle.replay(tenant.pk, [lane[0]])
    assert status(lane[0]) == Status.BLOCKED
    swarms.go_on(Lane.objects.get())
    succeed(lane[1])
    succeed(lane[2])

    assert status(lane[0]) == Status.READY


def test_the_next_in_a_lane_still_waits_for_its_own_time(definition):
    first = ready(lane="l")
    later = now().replace(year=2100)
    second = ready(lane="l", not_before=later)

    succeed(first)

    assert (status(second), get(second).due_at) == (Status.SCHEDULED, later)


def test_an_expired_head_hands_over(lane):
    plant(lane[0], deadline=ago(1), due_at=ago(1))

    lifecycle.expire(None)

    assert states(*lane) == [Status.EXPIRED, Status.READY, Status.BLOCKED]


def test_lanes_do_not_wait_for_each_other(lane):
    assert status(ready(lane="other")) == Status.READY


def test_a_claimed_head_that_is_given_back_stays_head(lane):
    claim(lane[0]).give_back()

    assert states(*lane) == [Status.READY, Status.BLOCKED, Status.BLOCKED]


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
@pytest.mark.postgres
def test_submissions_at_once_take_different_places_and_one_is_head(definition):
    in_threads(*[lambda: [ready(lane="l") for _ in range(10)]] * 4)

    assert sorted(LaneEntry.objects.values_list("seq", flat=True)) == list(range(1, 41))
    assert Task.objects.filter(status=Status.READY).count() == 1
    head = LaneEntry.objects.order_by("seq").first().task_id
    assert status(head) == Status.READY
