"""``llm.complete``: many calls in one task, with a real server of a model behind them."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from coordination.bodies import result_of
from coordination.models import Status
from gateway.breaker import Rules
from gateway.models import LedgerEntry
from gateway.pipe import batch
from gateway.pipe.batch import Batch, Stopped, complete_many
from ratelimit import policies
from ratelimit.models import Policy
from ratelimit.subject import Subject
from tests.gateway.calls.threaded import db, threads_of_its_own
from tests.gateway.server import Turn, failing, limited, said_to
from tests.workers.conftest import bind, envelope, execute, fresh_process, node
from workers.handlers import llm

__all__ = ["bind", "db", "envelope", "execute", "fresh_process", "node", "threads_of_its_own"]


@pytest.fixture
def calls(gateway, monkeypatch):
    """The task's pipe is the test's; its breaker stays closed."""
    gateway.around = gateway.surroundings(Rules(least_calls=99))
    monkeypatch.setattr(llm, "Batch", lambda **fields: Batch(around=gateway.around, **fields))
    return gateway


def prompts(count):
    return {"calls": [{"prompt": f"Question {n}"} for n in range(count)], "parallel": 4}


def test_calls_are_answered_in_their_order_and_paid_in_their_swarms_name(execute, calls):
    calls.server.plan(limited(0), failing(500), then=Turn(delay_s=0.02))

    task, attempt = execute(llm.complete, prompts(10), pool="io")

    assert task.status == Status.SUCCEEDED, attempt.error_message
    result = result_of(task)
    assert [one["text"] for one in result["answers"]] == [
        said_to(f"Question {n}") for n in range(10)
    ]
    assert calls.server.most_under_way <= 4
    assert result["cost_nanodollars"] == calls.spent == calls.server.money > 0
    entry = LedgerEntry.objects.first()
    assert (entry.swarm, entry.definition) == ("backend", "llm.complete")
    assert (attempt.progress, attempt.note) == (1.0, "10 of 10 calls")


def test_a_call_that_fails_is_told_beside_those_that_do_not(execute, calls):
    calls.server.plan(failing(400))

    task, _ = execute(llm.complete, {**prompts(3), "parallel": 1}, pool="io")

    assert task.status == Status.SUCCEEDED
    assert (result_of(task)["answered"], result_of(task)["failed"]) == (2, 1)
    assert result_of(task)["answers"][0]["error"]["code"] == "provider_refused"
    assert calls.spent == calls.server.money


def test_a_task_whose_calls_can_never_be_made_is_dead_at_once(execute, calls):
    task, attempt = execute(llm.complete, {"calls": [{"prompt": "x", "model": "no"}]}, pool="io")

    assert task.status == Status.DEAD
    assert "no model" in attempt.error_message


def test_a_task_whose_calls_all_fail_is_tried_again(execute, calls):
    calls.provider.retries = 0
    calls.provider.save()
    calls.server.plan(then=failing(503))

    task, _ = execute(llm.complete, prompts(2), pool="io")

    assert task.status == Status.SCHEDULED
    assert calls.entries == 0


def test_calls_wait_for_a_limit_that_passes_in_time(calls):
    Policy.objects.create(
        name="calls", limit=3, unit="requests", period_seconds=Decimal(1), burst=1,
        scope="global", applies_to="gateway",
    )  # fmt: skip
    policies.forget()
    assert policies.applying("gateway", Subject())  # read before many ask at once

    outcomes = complete_many(
        [calls.request(f"Question {n}") for n in range(5)], Batch(seconds=20, around=calls.around)
    )

    assert [outcome.text for outcome in outcomes] == [said_to(f"Question {n}") for n in range(5)]


def test_a_batch_that_is_stopped_ends_its_calls_and_pays_what_was_answered(calls, monkeypatch):
    monkeypatch.setattr(batch, "LOOK_EVERY_S", 0.05)
    calls.server.plan(Turn(), then=Turn(delay_s=5.0))

    with pytest.raises(Stopped):
        complete_many(
            [calls.request(f"Question {n}") for n in range(4)],
            Batch(parallel=2, around=calls.around, stop=lambda: calls.server.calls >= 3),
        )

    assert time.monotonic() - calls.server.at[-1] < 4  # it did not wait for the slow ones
    assert calls.spent == calls.server.money > 0
    assert calls.entries == 1


def test_a_batch_ends_with_its_time(calls):
    calls.server.plan(then=Turn(delay_s=5.0))
    began = time.monotonic()

    outcomes = complete_many(
        [calls.request(f"Question {n}") for n in range(3)],
        Batch(parallel=1, seconds=0.6, around=calls.around),
    )

    assert time.monotonic() - began < 4
    assert {type(outcome).__name__ for outcome in outcomes} <= {"ProviderFailed", "LimitReached"}
    assert calls.entries == 0
