"""Small tasks per second, from bulk submission to all results recorded, beside plain Celery.

Interleaved rounds on the same servers and with the same pool (two prefork children): ANSF, then
Celery with django-celery-results, then Celery without any results. Celery runs with late
acknowledgement, ``CONN_MAX_AGE=None`` and the better of two prefetch settings; its messages are
not confirmed, as is its default. What Celery gains by keeping its database connections, which
it does not do by itself, is measured too and printed beside.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import redis
from kombu import Connection

from benchmarks.driving import measured_stack, noop_definition, until, workers_ready
from benchmarks.figures import Figure, Findings, median
from benchmarks.peer import READY
from benchmarks.peer import app as peer_app
from benchmarks.peer import noop as peer_noop
from benchmarks.stack import Kind, Stack
from coordination.models import IN_FLIGHT, Attempt, Status, Task
from coordination.submission import TaskRequest, submit_many

TASKS = 20_000
BULK = 2_500  # tasks a transaction of submission holds: the first run while the next are written
PEER_TASKS = 2_000  # the peer is an order slower: fewer tasks measure it as well
ROUNDS = 3
SLOTS = 2
PREFETCH = (4, 64)
ROUND_SECONDS = 120.0


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """Rates and factors on PostgreSQL + RabbitMQ, and on the embedded default."""
    findings = Findings("throughput", "manage.py bench throughput --json")
    kinds: tuple[tuple[Kind, str], ...] = (("full", ""), ("embedded", "embedded_"))
    for kind, prefix in kinds:
        extra = {"ANSF_APPS": "django_celery_results"}
        with measured_stack(kind, extra) as stack:
            rates = _rounds(stack, tasks or TASKS, rounds or ROUNDS)
        _conclude(findings, prefix, rates, tasks or TASKS)
    return findings


def _conclude(
    findings: Findings, prefix: str, rates: Mapping[str, list[float]], count: int
) -> None:
    best = {
        label: max((rates[f"{label}/{prefetch}"] for prefetch in PREFETCH), key=max)
        for label in ("results", "reusing", "plain")
    }
    ansf = median(rates["ansf"], "1/s", f"{count} tasks a round, submission included")
    celery = median(best["results"], "1/s", "django-celery-results, CONN_MAX_AGE=None")
    reusing = median(best["reusing"], "1/s", "the same with CELERY_DB_REUSE_MAX set")
    plain = median(best["plain"], "1/s", "no results at all")
    findings.add(f"{prefix}ansf_per_s", ansf)
    findings.add(f"{prefix}celery_per_s", celery)
    findings.add(f"{prefix}celery_reusing_connections_per_s", reusing)
    findings.add(f"{prefix}celery_without_results_per_s", plain)
    for name, other in (
        ("factor", celery),
        ("factor_reusing_connections", reusing),
        ("factor_without_results", plain),
    ):
        ratio = Figure(ansf.value / other.value, "×", ansf.samples, 0, "ratio of medians")
        findings.add(prefix + name, ratio)


def _rounds(stack: Stack, count: int, rounds: int) -> dict[str, list[float]]:
    noop_definition()
    rates: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        rates["ansf"].append(_ansf(stack, count))
        for prefetch in PREFETCH:
            for label, environment in (
                ("results", {"PEER_RESULTS": "django-db"}),
                ("reusing", {"PEER_RESULTS": "django-db", "PEER_REUSE": "1"}),
                ("plain", {}),
            ):
                size = count if label == "plain" else min(count, PEER_TASKS)
                rates[f"{label}/{prefetch}"].append(_celery(stack, size, prefetch, environment))
    return rates


def _ansf(stack: Stack, count: int) -> float:
    """Tasks per second from the call of submit_many to the last recorded attempt."""
    stack.coordinator()
    stack.worker("cpu", SLOTS)
    workers_ready()
    submit_many([TaskRequest(definition="noop", payload={"i": i}) for i in range(500)])
    until(_all_ended, ROUND_SECONDS, "the warm-up")
    before = _recorded()
    begun = time.perf_counter()
    for start in range(0, count, BULK):
        bulk = range(start, min(start + BULK, count))
        submit_many([TaskRequest(definition="noop", payload={"i": i}) for i in bulk])
    until(_all_ended, ROUND_SECONDS, "all tasks")
    elapsed = time.perf_counter() - begun
    if _recorded() != before + count:
        raise RuntimeError(f"{_recorded() - before} of {count} tasks were recorded as succeeded")
    stack.stop_processes()
    Attempt.objects.all().delete()
    return count / elapsed


def _all_ended() -> bool:
    """Whether nothing waits or runs: two looks at partial indexes, whatever has ended."""
    ready = Task.objects.filter(status=Status.READY)
    return not ready.exists() and not Task.objects.filter(status__in=list(IN_FLIGHT)).exists()


def _recorded() -> int:
    return Attempt.objects.filter(outcome="succeeded").count()


def _celery(stack: Stack, count: int, prefetch: int, extra: Mapping[str, str]) -> float:
    """Tasks per second from the first publish to the last result, or to the empty queue."""
    log = stack.log("celery")
    log.unlink(missing_ok=True)
    worker = stack.start_celery("benchmarks.peer", SLOTS, {**extra, "PEER_PREFETCH": str(prefetch)})
    assert stack.broker is not None  # noqa: S101 - started with the stack
    peer_app.conf.update(broker_url=stack.broker.url)
    try:
        until(lambda: log.exists() and READY in log.read_text(), 60.0, f"the peer on {stack.kind}")
        before = _results(stack)
        begun = time.perf_counter()
        with peer_app.connection_for_write() as connection, connection.Producer() as producer:
            for number in range(count):
                peer_noop.apply_async(
                    kwargs={"i": number}, producer=producer, ignore_result=not extra
                )
        if extra.get("PEER_RESULTS"):
            until(lambda: _results(stack) >= before + count, ROUND_SECONDS, "the peer's results")
        else:
            until(lambda: _waiting(stack) == 0, ROUND_SECONDS, "the peer's queue")
        return count / (time.perf_counter() - begun)
    finally:
        worker.stop(deadline_s=10.0)


def _results(stack: Stack) -> int:
    rows = stack.query("SELECT count(*) FROM django_celery_results_taskresult")
    return int(rows[0][0])


def _waiting(stack: Stack) -> int:
    """Messages not yet handed to a worker (Valkey: not yet acknowledged, which is stricter)."""
    assert stack.broker is not None  # noqa: S101 - started with the stack
    if stack.kind == "embedded":
        client = redis.Redis.from_url(stack.broker.url)
        with client:
            return int(client.llen("peer")) + int(client.hlen("unacked"))
    with Connection(stack.broker.url) as connection:
        channel: Any = connection.default_channel  # py-amqp's
        return int(channel.queue_declare("peer", passive=True).message_count)
