"""`with ctx.commit():` — what a handler writes and the end of its task are one transaction."""

from __future__ import annotations

from ansf_platform.accounts.models import Tenant
from ansf_platform.celery import app
from coordination import counters
from coordination.models import Status, Swarm, Task
from workers.context import current


def write():
    tenant = Tenant.objects.get(slug="default")
    Swarm.objects.create(tenant=tenant, slug="effect")


def written():
    return Swarm.objects.filter(slug="effect").exists()


@app.task(name="tests.commit.commits")
def commits():
    with current().commit() as effect:
        write()
        effect.result = {"made": 1}
    return "not this"


@app.task(name="tests.commit.breaks_inside")
def breaks_inside():
    with current().commit():
        write()
        raise RuntimeError


@app.task(name="tests.commit.breaks_after")
def breaks_after():
    with current().commit() as effect:
        effect.result = 1
    raise RuntimeError


@app.task(name="tests.commit.late")
def late():
    ctx = current()
    Task.objects.filter(id=ctx.task_id).update(fence=ctx.fence + 1)
    with ctx.commit():
        write()


@app.task(name="tests.commit.no_json")
def no_json():
    with current().commit() as effect:
        write()
        effect.result = {1}


@app.task(name="tests.commit.twice")
def twice():
    with current().commit() as effect:
        effect.result = 1
    with current().commit():
        write()


def test_what_commit_writes_and_the_result_are_recorded_together(execute):
    task, attempt = execute(commits)

    assert (task.status, task.result) == (Status.SUCCEEDED, {"made": 1})
    assert attempt.outcome == "succeeded"
    assert written()


def test_an_error_inside_commit_undoes_what_it_wrote(execute):
    task, _ = execute(breaks_inside)

    assert task.status == Status.SCHEDULED
    assert not written()


def test_an_error_after_commit_does_not_undo_the_success(execute):
    task, attempt = execute(breaks_after)

    assert (task.status, task.result, attempt.outcome) == (Status.SUCCEEDED, 1, "succeeded")
    assert counters.totals() == {}


def test_a_task_that_was_taken_back_commits_nothing_and_is_counted(execute):
    task, attempt = execute(late)

    assert (task.status, attempt) == (Status.RUNNING, None)
    assert not written()
    assert counters.totals() == {"fenced": 1}


def test_a_result_of_commit_that_is_no_json_undoes_it(execute):
    task, attempt = execute(no_json)

    assert task.status != Status.SUCCEEDED
    assert attempt.error_type == "BodyInvalid"
    assert not written()


def test_a_task_commits_once(execute):
    task, _ = execute(twice)

    assert (task.status, task.result) == (Status.SUCCEEDED, 1)
    assert not written()
