"""A leader killed with a limited backlog: its successor keeps to the same buckets."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks import handlers
from coordination.models import Status
from ratelimit.models import Policy

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.postgres, pytest.mark.rabbitmq]

SECOND = "second"
RATE, BURST, TASKS = 20, 5, 50
STARTED = 15  # before the leader dies
LATE_S = 0.5  # how much later than others a busy worker may begin what it was sent


def test_a_leader_killed_over_a_limited_backlog_lets_nobody_start_too_soon(full, verdict):
    leader = full.lead(steady=False)
    full.stack.coordinator(SECOND)
    full.worker("io", 4)
    full.wait(lambda: "coordinator" in full.stack.log(SECOND).read_text(), "a second replica")
    ledger = full.ledger()
    Policy.objects.create(
        tenant=full.tenant, name="slow", limit=RATE, burst=BURST, scope="definition"
    )
    name = full.definition("bench.effect", pool="io", limits=["slow"])
    tasks = full.submit(name, [{}] * TASKS)
    full.wait(lambda: full.in_status(tasks, Status.SUCCEEDED) >= STARTED, "the first tasks")

    leader.kill()
    full.drain(tasks)

    times = sorted(e.at for e in handlers.executions(full.directory) if e.task_id in hexes(tasks))
    found = verdict(
        ledger.judge(
            "leader killed over a limited backlog",
            tasks,
            recovery=max(later - sooner for sooner, later in pairwise(times)),
            recovered_by="the longest time without a start",
        )
    )
    assert (found.lost, found.duplicate_effects, found.charged) == (0, 0, 0)
    assert len(times) == TASKS
    assert crowded(times) == []


def hexes(tasks):
    return {task.hex for task in tasks}


def crowded(times):
    """Stretches of time in which more started than the bucket can have held and refilled."""
    return [
        (count, round(until - since, 2))
        for i, since in enumerate(times)
        for count, until in enumerate(times[i:], start=1)
        if count > BURST + RATE * (until - since + LATE_S)
    ]
