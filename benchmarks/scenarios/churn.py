"""A million tasks through a table that stays small: does it bloat, does dispatch slow down?

Rows only, no broker: submit, mark, claim, finish and forget, in batches, as a coordinator and
workers do it, with autovacuum as the migrations set it.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from django.db import connection

from benchmarks.driving import measured_stack, noop_definition
from benchmarks.figures import Figure, Findings, percentile
from coordination import bodies, lifecycle, retention
from coordination.leadership import Leadership
from coordination.lifecycle.leading import Pick
from coordination.models import Agent, Outcome, Status, Task, WorkerNode
from coordination.submission import TaskRequest, submit_many
from workers.node import register

TASKS = 1_000_000
BATCH = 1_000
LIVE = 5_000  # rows that are kept while others come and go
EDGE = 0.05  # share of the rounds that counts as the start, and as the end


@dataclass(slots=True)
class _Track:
    dispatch_ms: list[float]
    bytes_per_row: list[float]


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """Bytes per live row and the 95th percentile of marking a batch, at the start and the end."""
    del rounds
    count = tasks or TASKS
    findings = Findings("churn", "manage.py bench churn --json")
    with measured_stack("full") as stack:
        track = _churn(stack.directory, count)
    edge = max(1, int(len(track.dispatch_ms) * EDGE))
    note = f"{count} tasks in batches of {BATCH}, about {LIVE} rows live"
    for label, part in (("start", slice(0, edge)), ("end", slice(-edge, None))):
        times = track.dispatch_ms[part]
        figure = Figure(percentile(times, 0.95), "ms", len(times), 0, note)
        findings.add(f"dispatch_p95_ms_{label}", figure)
        sizes = track.bytes_per_row[part]
        row = Figure(sum(sizes) / len(sizes), "bytes", len(sizes), 0, "table and indexes ÷ rows")
        findings.add(f"bytes_per_live_row_{label}", row)
    most = Figure(max(track.bytes_per_row), "bytes", len(track.bytes_per_row), 0, "after any batch")
    findings.add("bytes_per_live_row_most", most)
    for name, unit in (("bytes_per_live_row", ""), ("dispatch_p95", "_ms")):
        growth = _growth(findings, f"{name}{unit}")
        findings.add(f"{name}_growth", growth)
    return findings


def _growth(findings: Findings, name: str) -> Figure:
    start, end = (findings.figures[f"{name}_{label}"] for label in ("start", "end"))
    return Figure(end.value / start.value, "×", end.samples, 0, "end ÷ start")


def _churn(directory: object, count: int) -> _Track:
    noop_definition()
    node = register("cpu", 2, [], directory)  # type: ignore[arg-type]
    leader = Leadership("coordinator", "churn")
    agent = Agent.objects.get(name="any")
    track = _Track([], [])
    for _ in range(count // BATCH):
        submit_many([TaskRequest(definition="noop", payload={"i": i}) for i in range(BATCH)])
        term = leader.acquire_or_renew()
        assert term is not None  # noqa: S101 - nobody else is there
        track.dispatch_ms.append(_mark_and_run(term, agent.pk, node.id))
        while Task.objects.count() > LIVE:
            retention.prune_tasks(term, days=0, limit=BATCH)
        track.bytes_per_row.append(_bytes_per_row())
    WorkerNode.objects.all().delete()
    return track


def _mark_and_run(term: int, agent: int, worker: int) -> float:
    ready = Task.objects.filter(status=Status.READY).order_by("ready_at")
    ids = list(ready.values_list("id", flat=True)[:BATCH])
    envelope = uuid.uuid4()
    begun = time.perf_counter()
    fences = lifecycle.dispatch(term, [Pick(task, envelope, agent) for task in ids])
    elapsed = (time.perf_counter() - begun) * 1000
    claim = uuid.uuid4()
    result = bodies.encode(None)
    claimed = lifecycle.claim(claim, worker, list(fences.items()))
    lifecycle.finish(
        claim,
        [
            lifecycle.Finished(
                task.id, task.fence, Status.SUCCEEDED, Outcome.SUCCEEDED, 0.0, 0.0, result=result
            )
            for task in claimed
        ],
    )
    return elapsed


def _bytes_per_row() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size('coordination_task')")
        size: int = cursor.fetchone()[0]
    return size / max(Task.objects.count(), 1)
