"""The promises a user relies on, on SQLite + Valkey and on PostgreSQL + RabbitMQ alike."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from ansf_platform.accounts.models import Tenant
from ansf_platform.celery import app
from coordination import definitions, lifecycle, schedules, swarms
from coordination.models import TERMINAL, Attempt, RunNode, Schedule, Status, Swarm, Task
from coordination.runs import EdgeRequest, NodeRequest, submit_run
from tests.conformance.conftest import until

pytestmark = pytest.mark.timeout(90)


@app.task(name="conformance.absent")
def absent():
    """Known here, and to no worker."""


def test_a_task_runs_and_its_row_tells_so(send, wait):
    [task] = wait(Status.SUCCEEDED, send("add", {"numbers": [1, 2, 3]}))

    attempt = Attempt.objects.get(task_id=task.id)
    assert (task.result, task.attempt, task.fence) == (6, 1, 1)
    steps = [task.ready_at, task.dispatched_at, task.claimed_at, task.finished_at]
    assert steps == sorted(steps)
    assert (attempt.outcome, attempt.worker_id) == ("succeeded", task.worker_id)
    assert attempt.run_ms >= 0


def test_many_tasks_run_once_each(send, wait):
    ids = [send("add-io", {"numbers": [number]}) for number in range(300)]

    rows = wait(Status.SUCCEEDED, *ids)

    assert [row.result for row in rows] == list(range(300))
    assert Attempt.objects.filter(task_id__in=ids).count() == 300


def test_failures_are_tried_again_and_every_attempt_is_kept(send, wait):
    [task] = wait(Status.SUCCEEDED, send("fails-twice"))

    attempts = Attempt.objects.filter(task_id=task.id).order_by("fence")
    assert [attempt.outcome for attempt in attempts] == ["failed", "failed", "succeeded"]
    assert [attempt.number for attempt in attempts] == [1, 2, 3]
    assert [attempt.log.split(" ", 1)[1] for attempt in attempts] == [
        "attempt 1\n", "attempt 2\n", "attempt 3\n",
    ]  # fmt: skip
    assert task.result == 3


def test_self_retry_counts_its_retries(send, wait):
    [task] = wait(Status.SUCCEEDED, send("retries"))

    assert (task.result, task.attempt) == (2, 3)


def test_the_broker_serves_nine_first(send, wait, gate):
    blocker = send("hold-cpu", gate.payload)
    wait(Status.RUNNING, blocker)
    ids = {}
    for priority in range(10):  # one after another, the least urgent into the broker first
        ids[priority] = send("add", {"numbers": []}, priority=priority)
        wait(Status.DISPATCHED, ids[priority])

    gate.open()
    rows = wait(Status.SUCCEEDED, *ids.values())

    started = sorted(rows, key=lambda row: row.started_at)
    assert [row.priority for row in started] == list(range(9, -1, -1))


def test_log_lines_and_progress_are_visible_while_a_task_runs(send, wait, gate):
    task = send("hold", gate.payload)

    running = until(lambda: Attempt.objects.filter(task_id=task, outcome="running").first())

    assert running.log.count("\n") == 3
    for line in ("through the context", "INFO through logging", "INFO through a task logger"):
        assert line in running.log
    assert (running.progress, running.note) == (0.5, "half way")
    gate.open()
    [row] = wait(Status.SUCCEEDED, task)
    assert row.result == "released"
    assert "through logging" in Attempt.objects.get(task_id=task).log


@pytest.mark.parametrize("definition", ["hold", "hold-cpu"])
def test_a_running_task_is_cancelled(send, wait, gate, definition):
    task = send(definition, gate.payload)
    wait(Status.RUNNING, task)

    answers = lifecycle.cancel(Tenant.objects.get(slug="default").pk, [task])

    assert answers == {task: "requested"}
    wait(Status.CANCELLED, task)
    assert Attempt.objects.get(task_id=task).outcome == "cancelled"


def test_a_unique_key_is_held_until_its_task_ends(send, wait, gate):
    first = send("hold", gate.payload, key="only one")
    wait(Status.RUNNING, first)
    assert send("hold", gate.payload, key="only one") == first

    gate.open()
    wait(Status.SUCCEEDED, first)

    assert send("hold", gate.payload, key="only one") != first


def test_a_graph_runs_over_both_pools_and_passes_results_on(stack, wait):
    nodes = [
        NodeRequest(name="start", definition="add", payload={"numbers": [1]}),
        *[
            NodeRequest(
                name=f"middle{number}",
                definition="add-io",
                group="middle",
                payload={"numbers": [{"$from": "start"}, number]},
            )
            for number in range(5)
        ],
        NodeRequest(name="end", definition="add", payload={"numbers": {"$from": "middle"}}),
    ]
    edges = [
        EdgeRequest(parent=parent, child=child)
        for number in range(5)
        for parent, child in (("start", f"middle{number}"), (f"middle{number}", "end"))
    ]

    run = submit_run("both pools", nodes, edges)

    tasks = dict(RunNode.objects.filter(run=run).values_list("name", "task_id"))
    [end] = wait(Status.SUCCEEDED, tasks["end"])
    assert end.result == 15
    middle = Task.objects.filter(run_id=run.pk, pool="io")
    assert all(row.finished_at <= end.ready_at for row in middle)


def test_a_lane_runs_one_at_a_time_in_order(send, wait):
    ids = [send("add-io", {"numbers": [number]}, lane="orders") for number in range(10)]

    rows = wait(Status.SUCCEEDED, *ids)

    for earlier, later in pairwise(rows):
        assert earlier.finished_at <= later.claimed_at


def test_a_schedule_fires_each_due_time_once_under_two_coordinators(stack):
    schedule = Schedule.objects.create(
        tenant=Tenant.objects.get(slug="default"),
        name="tick",
        definition_name="add",
        payload={"numbers": [1]},
        interval_seconds=1.0,
        overlap=Schedule.Overlap.ALLOW,
        catch_up=Schedule.CatchUp.ALL,
    )
    schedules.arm(schedule)

    until(lambda: schedule.firings.filter(task_id__isnull=False).count() >= 3)
    schedules.set_enabled(schedule, enabled=False)

    firings = list(schedule.firings.order_by("due_at"))
    due = [firing.due_at for firing in firings]
    assert due == [due[0] + timedelta(seconds=number) for number in range(len(due))]
    tasks = [firing.task_id for firing in firings]
    assert len(set(tasks)) == len(tasks) == Task.objects.filter(id__in=tasks).count()


def test_a_worker_without_the_handler_gives_the_task_back(stack, send):
    tenant = Tenant.objects.get(slug="default")
    definitions.define(tenant, "absent", handler=absent.name, pool="io", max_attempts=1)
    task = send("absent")

    given_back = until(
        lambda: Task.objects.filter(id=task, fence__gte=2, reason__startswith="no handler").first()
    )

    assert given_back.attempt == 0
    lifecycle.cancel(tenant.pk, [task])
    until(lambda: Task.objects.get(id=task).status in TERMINAL)


def test_a_paused_swarm_waits_and_others_do_not(send, wait, swarm):
    swarms.pause(swarm)
    waiting = send("add-io", {"numbers": [1]}, swarm=swarm.slug)

    for _ in range(3):  # three turns of the dispatcher around it
        wait(Status.SUCCEEDED, send("add-io", {"numbers": [2]}))

    assert Task.objects.get(id=waiting).status == Status.READY
    swarms.resume(Swarm.objects.get(pk=swarm.pk))
    wait(Status.SUCCEEDED, waiting)
