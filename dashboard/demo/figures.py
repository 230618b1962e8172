"""What the rows say about a run: figures per swarm, each from the recorded attempts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from coordination.models import Agent, Attempt, Outcome, Run, RunNode, Swarm, Task

DEFINITIONS = {
    "tasks": "tasks of the run that succeeded",
    "tasks/s": "tasks ÷ seconds from the swarm's first start to its last end",
    "wait": "ready → started, milliseconds: dispatch, broker, and waiting for a free slot",
    "run": "started → ended, milliseconds, in the handler",
    "p50, p95": "nearest rank over the swarm's tasks",
    "retries": "attempts beyond the first of each task",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt in time, for the picture: seconds since the run was submitted."""

    swarm: str
    agent: str
    task: str
    start: float
    end: float
    worked: bool


@dataclass(frozen=True, slots=True)
class SwarmFigures:
    """One row of the table; times in milliseconds, None without tasks."""

    slug: str
    name: str
    agents: int
    tasks: int
    tasks_per_s: float | None
    wait_p50_ms: float | None
    wait_p95_ms: float | None
    run_p50_ms: float | None
    run_p95_ms: float | None
    retries: int


@dataclass(frozen=True, slots=True)
class RunFigures:
    """A whole run: seconds from its submission to its last task's end."""

    tasks: int
    seconds: float
    tasks_per_s: float
    swarms: tuple[SwarmFigures, ...]
    bars: tuple[Bar, ...]


def measure(run: Run) -> RunFigures:
    """The figures of a run that has ended."""
    names = dict(RunNode.objects.filter(run=run).values_list("task_id", "name"))
    tasks = list(Task.objects.filter(run=run).only("id", "swarm_id", "finished_at"))
    attempts = list(Attempt.objects.filter(task_id__in=list(names)))
    swarms = {swarm.pk: swarm for swarm in Swarm.objects.filter(tenant_id=run.tenant_id)}
    ended = max((task.finished_at for task in tasks if task.finished_at), default=run.created_at)
    seconds = (ended - run.created_at).total_seconds()
    of_swarm: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        of_swarm[attempt.swarm_id].append(attempt)
    return RunFigures(
        tasks=len(tasks),
        seconds=seconds,
        tasks_per_s=len(tasks) / seconds if seconds > 0 else 0.0,
        swarms=tuple(
            _of_swarm(swarm, of_swarm[key]) for key, swarm in swarms.items() if of_swarm[key]
        ),
        bars=tuple(_bars(run.created_at, attempts, names, swarms)),
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that `share` of all values do not exceed (nearest rank)."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _of_swarm(swarm: Swarm, attempts: Sequence[Attempt]) -> SwarmFigures:
    succeeded = [one for one in attempts if one.outcome == Outcome.SUCCEEDED]
    waits = [one.wait_ms for one in succeeded if one.wait_ms is not None]
    runs = [one.run_ms for one in succeeded if one.run_ms is not None]
    starts = [one.started_at for one in attempts if one.started_at]
    ends = [one.ended_at for one in attempts if one.ended_at]
    busy = (max(ends) - min(starts)).total_seconds() if starts and ends else 0.0
    return SwarmFigures(
        slug=swarm.slug,
        name=swarm.name or swarm.slug,
        agents=Agent.objects.filter(swarm=swarm, enabled=True).count(),
        tasks=len(succeeded),
        tasks_per_s=len(succeeded) / busy if busy > 0 else None,
        wait_p50_ms=percentile(waits, 0.50),
        wait_p95_ms=percentile(waits, 0.95),
        run_p50_ms=percentile(runs, 0.50),
        run_p95_ms=percentile(runs, 0.95),
        retries=len(attempts) - len({one.task_id for one in attempts}),
    )


def _bars(
    origin: datetime,
    attempts: Sequence[Attempt],
    names: dict[UUID, str],
    swarms: dict[int, Swarm],
) -> list[Bar]:
    agents = dict(Agent.objects.filter(swarm__in=swarms).values_list("pk", "name"))
    return [
        Bar(
            swarm=swarms[one.swarm_id].slug,
            agent=agents.get(one.agent_id or 0, "?"),
            task=names[one.task_id],
            start=(one.started_at - origin).total_seconds(),
            end=(one.ended_at - origin).total_seconds(),
            worked=one.outcome == Outcome.SUCCEEDED,
        )
        for one in attempts
        if one.started_at and one.ended_at
    ]
