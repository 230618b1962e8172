"""Ready to started with an idle worker: one task at a time, read from its row."""

from __future__ import annotations

import time

from benchmarks.driving import measured_stack, noop_definition, until, workers_ready
from benchmarks.figures import Figure, Findings, percentile
from benchmarks.stack import Kind
from coordination.models import Attempt
from coordination.submission import submit

TASKS = 300
WARM_UP = 20
NOTE = "ready to started, idle worker, one task at a time"
PAUSE_SECONDS = 0.02  # so that the worker is idle again and reads are not in step with polls


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """The database's clock at ready and at start, p50, p95 and p99, on both stacks."""
    del rounds  # every task is a sample
    findings = Findings("latency", "manage.py bench latency --json")
    kinds: tuple[tuple[Kind, str], ...] = (("full", ""), ("embedded", "embedded_"))
    for kind, prefix in kinds:
        waits = _waits(kind, tasks or TASKS)
        for label, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
            note = "ready to started, idle worker, one task at a time"
            findings.add(
                prefix + label, Figure(percentile(waits, share), "ms", len(waits), 0, note)
            )
    return findings


def _waits(kind: Kind, count: int) -> list[float]:
    with measured_stack(kind) as stack:
        noop_definition()
        stack.coordinator()
        stack.worker("cpu", 2)
        workers_ready()
        waits = []
        for number in range(count + WARM_UP):
            task = submit("noop", {"i": number}).task_id
            attempts = Attempt.objects.filter(task_id=task)
            until(attempts.exists, 30, "a task")
            if number >= WARM_UP:
                waits.append(attempts.get().wait_ms or 0.0)
            time.sleep(PAUSE_SECONDS)
        return waits
