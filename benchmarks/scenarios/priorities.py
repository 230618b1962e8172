"""Inversions: a start while a more urgent task had been ready for over a second."""

from __future__ import annotations

import random

from ansf_platform.accounts.models import Tenant
from benchmarks.driving import measured_stack, until, workers_ready
from benchmarks.figures import Figure, Findings
from benchmarks.stack import Kind
from coordination.definitions import define
from coordination.models import Swarm, Task
from coordination.submission import TaskRequest, submit_many

STARTS = 2_000
TASK_SECONDS = 0.005
GRACE_SECONDS = 1.0
WAVES = 4


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """Random priorities in one swarm and pool, aging off, submitted in waves while others run."""
    del rounds
    findings = Findings("priorities", "manage.py bench priorities --json")
    kinds: tuple[tuple[Kind, str], ...] = (("full", ""), ("embedded", "embedded_"))
    for kind, prefix in kinds:
        starts = _starts(kind, tasks or STARTS)
        note = f"starts while a higher priority had been ready over {GRACE_SECONDS:g} s, aging off"
        inverted = count_inversions(starts)
        findings.add(prefix + "inversions", Figure(inverted, "starts", len(starts), 0, note))
    return findings


def _starts(kind: Kind, count: int) -> list[tuple[int, float, float]]:
    with measured_stack(kind) as stack:
        tenant = Tenant.objects.get(slug="default")
        Swarm.objects.filter(slug="default").update(aging_seconds=0)
        define(tenant, "sleep", handler="bench.sleep", pool="cpu")
        generator = random.Random(7)
        stack.coordinator()
        stack.worker("cpu", 2)
        workers_ready()
        done = Task.objects.filter(status="succeeded")
        for wave in range(WAVES):
            submit_many([_request(generator) for _ in range(count // WAVES)])
            wanted = (2 * wave + 1) * count // (2 * WAVES)
            until(lambda wanted=wanted: done.count() >= wanted, 300, "half a wave")  # type: ignore[misc]
        until(lambda: done.count() >= count // WAVES * WAVES, 300, "all tasks")
        rows = Task.objects.filter(started_at__isnull=False)
        columns = rows.values_list("priority", "ready_at", "started_at")
        return [(p, r.timestamp(), s.timestamp()) for p, r, s in columns if r and s]


def _request(generator: random.Random) -> TaskRequest:
    return TaskRequest(
        definition="sleep",
        payload={"seconds": TASK_SECONDS},
        priority=generator.randrange(10),
    )


def count_inversions(starts: list[tuple[int, float, float]]) -> int:
    """Starts (priority, ready, started) that a more urgent ready task should have preceded."""
    inverted = 0
    for priority, _, started in starts:
        inverted += any(
            other > priority and ready + GRACE_SECONDS < started < other_started
            for other, ready, other_started in starts
        )
    return inverted
