"""The life of a task as people read it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from coordination import lifecycle, selectors
from coordination.models import Attempt
from tests.coordination import steps

pytestmark = pytest.mark.usefixtures("definition")


def ready():
    """A task that was submitted a while ago: what `steps` report lies a little in the past."""
    task = steps.ready()
    steps.plant(task, created_at=steps.ago(60), ready_at=steps.ago(60))
    return task


def told(task_id):
    return [(event.what, event.detail) for event in selectors.timeline_of(steps.get(task_id))]


def names(task_id):
    return [what for what, _ in told(task_id)]


def test_a_task_that_succeeded_ends_with_its_success():
    task = ready()

    steps.succeed(task)

    assert names(task) == ["submitted", "ready", "started", "succeeded", "succeeded"]


@pytest.mark.parametrize("milliseconds", [-3, 0, 3])
def test_an_attempt_fails_before_its_task_is_dead_whatever_their_clocks_say(milliseconds):
    task = ready()
    steps.die(task)
    ended = steps.get(task).finished_at + timedelta(milliseconds=milliseconds)
    Attempt.objects.filter(task_id=task).update(ended_at=ended)

    assert names(task)[-2:] == ["failed", "dead"]


def test_becoming_ready_does_not_tell_how_the_task_ended():
    task = ready()

    steps.die(task)

    assert ("ready", "") in told(task)
    assert told(task)[-1] == ("dead", "RuntimeError")


def test_what_a_task_does_now_comes_after_its_attempts():
    task = ready()
    steps.retry(task, retry_in=0.0)
    assert lifecycle.wake(None) == 1
    steps.plant(task, ready_at=Attempt.objects.get().ended_at - timedelta(milliseconds=1))

    grip = steps.claim(task)

    assert names(task) == ["submitted", "started", "failed", "ready", "dispatched", "claimed"]
    assert told(task)[-1][1] == f"worker {grip.worker.pk}"


def test_what_waits_for_its_second_attempt_is_not_called_ready():
    task = ready()

    steps.retry(task)

    assert names(task) == ["submitted", "started", "failed"]
