"""What a handler sees, what it tells, and how members of an envelope share it."""

from __future__ import annotations

import logging
import time
from uuid import uuid4

import pytest
from celery import current_task, signals
from celery.app.task import Task as CeleryTask
from celery.utils.log import get_task_logger

from ansf_platform.celery import app
from coordination import definitions
from coordination.models import Status, Task
from coordination.runs import EdgeRequest, NodeRequest, submit_run
from tests.coordination.steps import claim, dispatch, get, plant, ready
from workers import batches, executor
from workers.context import JournalHandler, current, current_or_none

logger = logging.getLogger(__name__)
task_logger = get_task_logger(__name__)


class Hooked(CeleryTask):
    heard: list = []

    def on_success(self, retval, task_id, args, kwargs):
        self.heard.append(("success", retval, task_id))

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        self.heard.append(("failure", str(exc), task_id))

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        self.heard.append(("retry", str(exc.exc), task_id))

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        self.heard.append(("after", status, task_id))


class Broken(CeleryTask):
    """Every hook raises."""

    def on_success(self, *args):
        raise RuntimeError("hook")

    on_failure = on_retry = after_return = on_success


@app.task(name="tests.execution.hooked", base=Hooked, bind=True)
def hooked(self, how):
    if how == "fail":
        raise RuntimeError("failed")
    if how == "retry":
        raise self.retry(exc=OSError("busy"), countdown=10)
    return how


@app.task(name="tests.execution.broken", base=Broken)
def broken(fail):
    if fail:
        raise RuntimeError("its own error")
    return 1


@app.task(name="tests.execution.looks", bind=True)
def looks(self):
    ctx = current()
    return {
        "id": self.request.id,
        "current": current_task.request.id,
        "retries": self.request.retries,
        "kwargs": self.request.kwargs,
        "direct": self.request.called_directly,
        "limits": self.request.timelimit,
        "context": ctx.task_id.hex,
        "attempt": ctx.attempt,
        "fence": ctx.fence,
        "key": ctx.idempotency_key,
        "left": ctx.seconds_left,
        "definition": ctx.definition,
    }


@app.task(name="tests.execution.tells", bind=True)
def tells(self):
    ctx = current()
    ctx.log("from the context")
    logger.info("from logging %s", 1)
    task_logger.warning("from a task logger")
    self.update_state(state="PROGRESS", meta={"current": 3, "total": 4, "note": "rows"})


@app.task(name="tests.execution.counts")
def counts(n, seconds=0.0):
    time.sleep(seconds)
    return n


@pytest.fixture
def heard():
    Hooked.heard.clear()
    return Hooked.heard


@pytest.fixture
def journalled():
    handler = JournalHandler(logging.INFO)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield
    root.removeHandler(handler)
    root.setLevel(level)


def test_a_handler_sees_the_request_it_would_see_under_celery(execute):
    task, _ = execute(looks, time_limit_seconds=50.0)

    seen, identifier = task.result, task.id.hex
    assert (seen["id"], seen["current"], seen["context"]) == (identifier,) * 3
    assert (seen["retries"], seen["attempt"], seen["fence"]) == (0, 1, 1)
    assert (seen["kwargs"], seen["direct"], seen["key"]) == ({}, False, identifier)
    assert 45 < seen["left"] <= 50
    assert seen["limits"][1] == 50
    assert seen["definition"] == looks.name


def test_retries_count_the_attempts_that_were_charged(bind, envelope):
    bind(looks)
    task = ready(looks.name)
    plant(task, attempt=2)

    envelope(task)

    assert (get(task).result["retries"], get(task).result["attempt"]) == (2, 3)


def test_outside_a_task_there_is_no_context():
    assert current_or_none() is None
    with pytest.raises(RuntimeError, match="no ANSF task is running"):
        current()


def test_what_a_handler_logs_and_reports_is_kept_with_its_attempt(execute, journalled):
    _, attempt = execute(tells)

    lines = attempt.log.splitlines()
    assert [line[9:] for line in lines] == [
        "from the context",
        "INFO from logging 1",
        "WARNING from a task logger",
    ]
    assert (attempt.progress, attempt.note) == (0.75, "PROGRESS rows")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("ok", [("success", "ok"), ("after", "SUCCESS")]),
        ("fail", [("failure", "failed"), ("after", "FAILURE")]),
        ("retry", [("retry", "busy"), ("after", "RETRY")]),
    ],
)
def test_a_task_classes_hooks_are_called(execute, heard, how, expected):
    task, _ = execute(hooked, {"how": how})

    assert [call[:2] for call in heard] == expected
    assert {call[2] for call in heard} == {task.id.hex}


def test_a_hook_that_raises_changes_nothing(execute, caplog):
    good, _ = execute(broken, {"fail": False})
    bad, attempt = execute(broken, {"fail": True})

    assert (good.status, good.result) == (Status.SUCCEEDED, 1)
    assert (bad.status, attempt.error_message) == (Status.SCHEDULED, "its own error")


@pytest.mark.parametrize(
    ("how", "between"), [("ok", "success"), ("fail", "failure"), ("retry", "retry")]
)
def test_celerys_signals_are_sent_for_each_task(bind, envelope, heard, how, between):
    bind(hooked)
    told = []
    receivers = {}
    for name in ("prerun", "success", "failure", "retry", "postrun"):
        receivers[name] = lambda name=name, **_: told.append(name)
        getattr(signals, f"task_{name}").connect(receivers[name], weak=False)
    try:
        envelope(ready(hooked.name, {"how": how}), ready(hooked.name, {"how": how}))
    finally:
        for name, receiver in receivers.items():
            getattr(signals, f"task_{name}").disconnect(receiver)

    assert told == ["prerun", between, "postrun"] * 2


class TestEnvelopes:
    def test_members_run_in_turn_with_their_own_payloads(self, bind, envelope):
        bind(counts)
        tasks = [ready(counts.name, {"n": number}) for number in range(5)]

        envelope(*tasks)

        assert [get(task).result for task in tasks] == [0, 1, 2, 3, 4]
        started = [get(task).started_at for task in tasks]
        assert started == sorted(started)

    def test_one_that_fails_leaves_its_neighbours_alone(self, bind, envelope):
        bind(counts)
        tasks = [ready(counts.name, payload) for payload in ({"n": 1}, {"m": 2}, {"n": 3})]

        envelope(*tasks)

        assert [get(task).status for task in tasks] == ["succeeded", "scheduled", "succeeded"]

    def test_past_the_time_of_an_envelope_the_rest_is_given_back(self, bind, envelope, monkeypatch):
        monkeypatch.setattr(executor, "BUDGET_SECONDS", 0.01)
        bind(counts)
        slow = ready(counts.name, {"n": 0, "seconds": 0.02})
        rest = [ready(counts.name, {"n": number}) for number in (1, 2)]

        envelope(slow, *rest)

        assert get(slow).status == Status.SUCCEEDED
        assert [(get(task).status, get(task).attempt) for task in rest] == [("ready", 0)] * 2

    def test_members_that_somebody_else_took_are_left_out(self, bind, envelope, node):
        definition = bind(counts)
        mine, gone = ready(counts.name, {"n": 1}), ready(counts.name, {"n": 2})
        fences = dispatch(mine, gone)
        Task.objects.filter(id=gone).update(fence=9)

        executor.run_envelope(node, uuid4(), definition.pk, list(fences.items()))

        assert (get(mine).status, get(gone).status) == ("succeeded", "dispatched")

    def test_a_result_is_flushed_once_it_has_waited(self, bind, envelope, monkeypatch):
        bind(counts)
        flushed = []
        real = executor.lifecycle.finish

        def finish(identifier, results):
            flushed.append(len(results))
            return real(identifier, results)

        monkeypatch.setattr(executor.lifecycle, "finish", finish)
        monkeypatch.setattr(batches, "FLUSH_SECONDS", 0.5)
        envelope(
            ready(counts.name, {"n": 1}),
            ready(counts.name, {"n": 2, "seconds": 0.5}),
            ready(counts.name, {"n": 3}),
        )

        assert flushed == [2, 1]

    def test_a_worker_without_the_handler_gives_the_tasks_back_uncharged(
        self, bind, envelope, monkeypatch
    ):
        bind(counts)
        monkeypatch.setattr(executor, "UNKNOWN_HANDLER_SECONDS", 0)
        task = ready(counts.name, {"n": 1})
        monkeypatch.setattr(executor, "app", type("App", (), {"tasks": {}}))

        envelope(task)

        row = get(task)
        assert (row.status, row.attempt) == (Status.READY, 0)
        assert row.reason == f"no handler {counts.name}"


def test_a_definition_is_read_once_per_process(bind, envelope, django_assert_max_num_queries):
    definition = bind(counts)
    executor.program(definition.pk)

    with django_assert_max_num_queries(0):
        assert executor.program(definition.pk).handler == counts.name


def test_references_are_resolved_before_the_handler_is_called(tenant, swarms, bind, envelope):

    bind(counts)
    definitions.define(tenant, "first", handler=counts.name, default_swarm=swarms["qa"])
    run = submit_run(
        "r",
        [
            NodeRequest(name="a", definition="first", payload={"n": 7}),
            NodeRequest(name="b", definition=counts.name, payload={"n": {"$from": "a"}}),
        ],
        [EdgeRequest(parent="a", child="b")],
    )
    first, second = (node.task_id for node in run.nodes.order_by("position"))
    claim(first).finish(result=[1, 2])

    envelope(second)

    assert get(second).result == [1, 2]
