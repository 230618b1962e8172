"""A backlog behind a policy: how steady its rate is, and what everybody else feels of it.

Two coordinators and four workers of one slot on PostgreSQL and RabbitMQ. One definition is
limited to 200 starts a second with a burst of 20; its tasks are submitted at once. Meanwhile, one
at a time: tasks of another swarm, as before the backlog, and unlimited tasks of the same swarm
and priority, which stand behind all of it.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence

from ansf_platform.accounts.models import Tenant
from benchmarks.driving import measured_stack, until, workers_ready
from benchmarks.figures import Figure, Findings, percentile
from benchmarks.stack import Stack
from coordination.definitions import define
from coordination.models import Agent, Attempt, Swarm, Task
from coordination.submission import TaskRequest, submit, submit_many
from ratelimit.models import Policy

TASKS = 10_000
RATE, BURST = 200, 20
WORKERS = 4
SAMPLES = 200  # of another swarm's tasks, before and beside the backlog
WARM_UP = 30
PAUSE_SECONDS = 0.02
STEP_SECONDS = 0.05  # between the beginnings of two windows
SETTLED_SECONDS = 1.0  # after the first start: the burst is gone


def measure(tasks: int | None, rounds: int | None) -> Findings:
    """The rate in every window, the latency of others, the wait of unlimited tasks."""
    del rounds  # one long run
    count = tasks or TASKS
    findings = Findings("limited-dispatch", "manage.py bench limited-dispatch --json")
    with measured_stack("full") as stack:
        _prepare(stack)
        _waits("elsewhere", WARM_UP)
        alone = _waits("elsewhere", SAMPLES)
        submit_many([TaskRequest(definition="limited", payload={"i": i}) for i in range(count)])
        until(lambda: _starts(1) != [], 30, "the first limited task")
        time.sleep(SETTLED_SECONDS)
        beside, behind = _beside()
        until(lambda: _left() == 0, 30 + 2 * count / RATE, "all limited tasks")
        starts = _starts(count)
        alone += _waits("elsewhere", SAMPLES)
    _rates(findings, starts)
    _others(findings, alone, beside)
    note = f"ready to started, {len(behind)} unlimited tasks behind the backlog, the slowest"
    findings.add("unlimited_max_ms", Figure(max(behind), "ms", len(behind), 0, note))
    return findings


def _prepare(stack: Stack) -> None:
    tenant = Tenant.objects.get(slug="default")
    Policy.objects.create(
        tenant=tenant, name="measured", limit=RATE, burst=BURST, scope="definition", on_deny="wait"
    )
    other = Swarm.objects.create(tenant=tenant, slug="elsewhere")
    Agent.objects.create(swarm=other, name="any", slots=1000)
    define(tenant, "limited", handler="bench.noop", limits=["measured"])
    define(tenant, "unlimited", handler="bench.noop")
    define(tenant, "elsewhere", handler="bench.noop", default_swarm=other)
    stack.coordinator("coordinator-1")
    stack.coordinator("coordinator-2")
    for number in range(WORKERS):
        stack.worker("cpu", 1, f"worker-{number}")
    workers_ready(WORKERS)


def _waits(definition: str, count: int) -> list[float]:
    """Ready to started of so many tasks, one at a time, in milliseconds."""
    return [_wait(definition, number) for number in range(count)]


def _wait(definition: str, number: int) -> float:
    attempts = Attempt.objects.filter(task_id=submit(definition, {"i": number}).task_id)
    until(attempts.exists, 30, "a task")
    time.sleep(PAUSE_SECONDS)
    return attempts.get().wait_ms or 0.0


def _beside() -> tuple[list[float], list[float]]:
    """The same beside the backlog, and those of unlimited tasks in its midst, while it lasts."""
    beside: list[float] = []
    behind: list[float] = []
    while len(beside) < 2 * SAMPLES and _left() > RATE:
        beside.append(_wait("elsewhere", len(beside)))
        behind.append(_wait("unlimited", len(behind)))
    return beside, behind


def _left() -> int:
    limited = Task.objects.filter(definition__name="limited")
    return limited.exclude(status="succeeded").count()


def _starts(count: int) -> list[float]:
    """When limited tasks started, in seconds."""
    limited = Task.objects.filter(definition__name="limited", started_at__isnull=False)
    moments = limited.order_by("started_at").values_list("started_at", flat=True)[:count]
    return [moment.timestamp() for moment in moments if moment]


def windows(starts: Sequence[float], seconds: float) -> list[float]:
    """Starts per second in every window of that length, once the burst is gone."""
    first, last = starts[0] + SETTLED_SECONDS, starts[-1] - seconds
    steps = int((last - first) / STEP_SECONDS)
    begins = [first + step * STEP_SECONDS for step in range(max(0, steps) + 1)]
    return [
        (bisect_left(starts, begin + seconds) - bisect_left(starts, begin)) / seconds
        for begin in begins
    ]


def _rates(findings: Findings, starts: Sequence[float]) -> None:
    for seconds in (5, 1):
        found = windows(starts, seconds)
        worst = max(abs(rate - RATE) / RATE * 100 for rate in found)
        note = f"off {RATE}/s in the worst {seconds} s window: {min(found):g} to {max(found):g}/s"
        findings.add(f"rate_error_{seconds}s_percent", Figure(worst, "%", len(found), 0, note))
    span = starts[-1] - starts[0]
    over = len(starts) - (BURST + RATE * span)
    note = f"starts beyond burst + rate × {span:.2f} s"
    findings.add("over_admitted", Figure(over, "starts", len(starts), 0, note))


def _others(findings: Findings, alone: Sequence[float], beside: Sequence[float]) -> None:
    before, after = percentile(alone, 0.95), percentile(beside, 0.95)
    allowed = max(0.1 * before, 5.0)
    note = "ready to started of another swarm's tasks, 95th percentile"
    findings.add("others_p95_ms_alone", Figure(before, "ms", len(alone), 0, note))
    findings.add("others_p95_ms_beside", Figure(after, "ms", len(beside), 0, note))
    share = (after - before) / allowed
    note = f"of the {allowed:.3g} ms that it may grow (10 % or 5 ms, whichever is larger)"
    findings.add("others_p95_growth", Figure(share, "×", len(beside), 0, note))
