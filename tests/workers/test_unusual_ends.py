"""Handlers that end in unusual ways: each end is recorded, and costs its neighbours nothing."""

from __future__ import annotations

import asyncio
import logging
import sys
from uuid import uuid4

import pytest
from celery import Task, current_task
from celery.exceptions import Retry
from django.db import connection, transaction

from ansf_platform.accounts.models import Tenant
from ansf_platform.celery import app
from coordination import definitions
from coordination.models import Attempt, Status
from coordination.retry import LONGEST_SECONDS, Backoff
from tests.coordination import steps
from workers import executor
from workers.context import JournalHandler, current
from workers.node import Node
from workers.outcomes import Policy, raised


class Mute(Exception):
    def __str__(self):
        raise ValueError("cannot be told")


class Hooked(Task):
    def on_success(self, *_):
        raise RuntimeError("in on_success")

    def after_return(self, *_):
        raise RuntimeError("in after_return")


@app.task(name="tests.act")
def act(how="return"):
    return ENDS[how]()


@app.task(name="tests.hooked", base=Hooked)
def hooked():
    return "done"


def _leave_open():
    transaction.atomic().__enter__()


def _interrupted_in_transaction():
    transaction.atomic().__enter__()
    raise RuntimeError("interrupted")


def _nested_commit():
    with transaction.atomic(), current().commit():
        pass


def _log_wrongly():
    logging.getLogger("tests.act").warning("%d of them", "many")
    return "logged"


def _raise(error):
    raise error


ENDS = {
    "return": lambda: "done",
    "leave open": _leave_open,
    "interrupted": _interrupted_in_transaction,
    "nested commit": _nested_commit,
    "mute": lambda: _raise(Mute()),
    "cancelled coroutine": lambda: _raise(asyncio.CancelledError()),
    "exit": lambda: sys.exit(3),
    "for ever": lambda: _raise(Retry(when=float("inf"))),
    "name": lambda: current_task.name,
    "log": _log_wrongly,
}


@pytest.fixture
def node(db, tmp_path):
    row = steps.worker()
    node = Node(row.pk, row.name, "cpu", 2, tmp_path)
    for directory in (node.cancelled, node.limits, node.logs):
        directory.mkdir()
    return node


@pytest.fixture
def run(node, definition, monkeypatch):
    """Run tasks in one envelope, each acting as told; their ids."""
    monkeypatch.setattr(executor, "_programs", {})  # ids come again in each test's database

    def run(*hows, handler="tests.act"):
        tenant = Tenant.objects.get(slug="default")
        made = definitions.define(
            tenant, "act", handler=handler, default_swarm=definition.default_swarm
        )
        payloads = [{"how": how} for how in hows] if hows else [{}]
        ids = [steps.ready("act", payload) for payload in payloads]
        fences = steps.dispatch(*ids)
        executor.run_envelope(node, uuid4(), made.pk, [(task, fences[task]) for task in ids])
        return ids

    return run


def outcome(task_id):
    attempt = Attempt.objects.get(task_id=task_id)
    return attempt.outcome, attempt.error_type


@pytest.mark.parametrize(
    "how", ["leave open", "interrupted", "mute", "cancelled coroutine", "exit"]
)
def test_a_bad_end_is_recorded_and_so_are_its_neighbours_results(run, how):
    first, bad, last = run("return", how, "return")
    assert [steps.status(task) for task in (first, last)] == [Status.SUCCEEDED] * 2
    assert steps.status(bad) == Status.SCHEDULED
    assert Attempt.objects.get(task_id=bad).outcome == "failed"


def test_a_child_that_is_told_to_end_ends(run, monkeypatch):
    monkeypatch.setattr(executor, "terminate_handler_fired", lambda: True)
    with pytest.raises(SystemExit):
        run("exit")


def test_a_transaction_left_open_is_rolled_back_and_told(run):
    (task,) = run("leave open")
    assert outcome(task) == ("failed", "TransactionLeftOpen")
    assert not connection.in_atomic_block


def test_commit_inside_a_transaction_of_the_handler_is_refused(run):
    (task,) = run("nested commit")
    assert outcome(task) == ("failed", "RuntimeError")
    assert steps.status(task) == Status.SCHEDULED


def test_hooks_that_raise_do_not_undo_the_result(run):
    (task,) = run(handler="tests.hooked")
    assert steps.get(task).result == "done"


def test_a_retry_in_eternity_comes_within_a_year(run):
    (task,) = run("for ever")
    row = steps.get(task)
    assert row.status == Status.SCHEDULED
    assert 0 < (row.due_at - steps.now()).total_seconds() <= LONGEST_SECONDS


@pytest.mark.parametrize("when", [float("nan"), float("inf"), 1e300, -5.0])
def test_every_asked_delay_becomes_a_time_that_databases_know(when):
    ending = raised(Retry(when=when), 1, Policy(3, Backoff(1.0, 10.0)))
    assert 0.0 <= ending.retry_in <= LONGEST_SECONDS


def test_current_task_is_the_handler(run):
    (task,) = run("name")
    assert steps.get(task).result == "tests.act"


def test_a_log_call_with_wrong_arguments_does_not_fail_the_handler(run, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = JournalHandler(logging.INFO)
    logging.getLogger("tests.act").addHandler(handler)
    try:
        (task,) = run("log")
    finally:
        logging.getLogger("tests.act").removeHandler(handler)
    assert steps.status(task) == Status.SUCCEEDED
