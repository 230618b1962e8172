"""What needs a human, worst first: decided from what the page shows anyway, without a query."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.urls import reverse

from coordination.models import Lease, Pool
from coordination.selectors import COUNT_BOUND, QueueDepth, SwarmOverview, WorkerView
from healthchecks.models import HealthCheck
from healthchecks.monitor import State
from healthchecks.selectors import STALE, CheckView

Level = Literal["critical", "warning"]
CRITICAL: Level = "critical"
WARNING: Level = "warning"
SHOWN_STALE = 3  # names of stale checks that one line holds


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that does not mend itself."""

    level: Level
    title: str
    detail: str
    command: str = ""
    """What to type; "" where a page helps more."""
    address: str = ""
    """Of the page that shows it."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the concerns are derived from."""

    now: datetime
    lease: Lease | None
    swarms: Sequence[SwarmOverview]
    depths: Sequence[QueueDepth]
    workers: Sequence[WorkerView]
    checks: Sequence[CheckView]
    halted: Sequence[str]

    @property
    def led(self) -> bool:
        """Whether a coordinator holds its lease now."""
        return self.lease is not None and self.lease.expires_at > self.now

    def ready(self, pool: str) -> int:
        """Tasks of the tenant that wait for a worker of that pool."""
        return sum(depth.ready for depth in self.depths if depth.pool == pool)

    def starving(self) -> list[str]:
        """Pools with waiting tasks and without a worker that takes any."""
        served = {w.node.pool for w in self.workers if w.alive and not w.node.draining}
        return [pool for pool in Pool.values if self.ready(pool) and pool not in served]


def concerns(scene: Scene) -> list[Concern]:
    """Everything that needs a human, critical things first; [] is the aim."""
    found = [
        *_leader(scene),
        *_pools(scene),
        *_swarms(scene),
        *_checks(scene),
        *_silent_workers(scene),
        *_halted(scene),
        *_dead(scene),
    ]
    return sorted(found, key=lambda concern: concern.level != CRITICAL)


def tasks(number: int) -> str:
    """A count of tasks in words, saying so where counting stopped."""
    if number >= COUNT_BOUND:
        return f"at least {COUNT_BOUND:,} tasks"
    return f"{number:,} task" + ("" if number == 1 else "s")


def _wait(number: int) -> str:
    return f"{tasks(number)} {'waits' if number == 1 else 'wait'}"


def _leader(scene: Scene) -> Iterator[Concern]:
    if scene.led:
        return
    waiting = sum(depth.ready for depth in scene.depths)
    since = f"since {scene.lease.expires_at:%Y-%m-%d %H:%M:%S} UTC" if scene.lease else "so far"
    yield Concern(
        CRITICAL,
        "No coordinator leads",
        f"Nobody has dispatched {since}; {_wait(waiting)}.",
        "python manage.py coordinate",
    )


def _pools(scene: Scene) -> Iterator[Concern]:
    for pool in scene.starving():
        yield Concern(
            CRITICAL,
            f"No worker serves the {pool} pool",
            f"{_wait(scene.ready(pool))} for one.",
            f"python manage.py worker --pool {pool}",
        )


def _swarms(scene: Scene) -> Iterator[Concern]:
    for row in scene.swarms:
        slug = row.swarm.slug
        if not row.waiting:
            continue
        if row.swarm.paused:
            yield Concern(
                WARNING,
                f"Swarm {slug} is paused",
                f"{_wait(row.waiting)} until it is resumed.",
                f"python manage.py swarm resume {slug}",
            )
        if not row.slots:
            yield Concern(
                CRITICAL,
                f"Swarm {slug} has no enabled agent",
                f"{_wait(row.waiting)}: enable or add an agent.",
                address=reverse("admin:coordination_agent_changelist"),
            )


def _checks(scene: Scene) -> Iterator[Concern]:
    stale = [view.check.name for view in scene.checks if view.state == STALE]
    if stale:
        names = ", ".join(stale[:SHOWN_STALE]) + (", …" if len(stale) > SHOWN_STALE else "")
        yield Concern(
            WARNING,
            f"{len(stale)} check{'' if len(stale) == 1 else 's'} not measured in time",
            f"Their last state is no longer believed: {names}.",
            "python manage.py watch",
        )
    for view in scene.checks:
        if view.state in {State.FAILED, State.DEGRADED} and not _told_already(scene, view):
            yield _of_check(view)


def _told_already(scene: Scene, view: CheckView) -> bool:
    if view.check.kind == "coordinator_lease":
        return not scene.led
    return view.check.kind == "worker_leases" and view.check.target in scene.starving()


def _of_check(view: CheckView) -> Concern:
    severe = view.check.severity == HealthCheck.Severity.CRITICAL and view.state == State.FAILED
    message = view.reading.message if view.reading else "no reading is kept"
    return Concern(
        CRITICAL if severe else WARNING,
        f"Check {view.check.name} {'failed' if view.state == State.FAILED else 'is degraded'}",
        message or "the probe gave no message",
        "python manage.py doctor",
    )


def _silent_workers(scene: Scene) -> Iterator[Concern]:
    silent = [view.node for view in scene.workers if not view.alive]
    pools = Counter(node.pool for node in silent)
    for pool, number in sorted(pools.items()):
        newest = max(node.beat_at for node in silent if node.pool == pool)
        yield Concern(
            WARNING,
            f"{number} {pool} worker{'' if number == 1 else 's'} fell silent in the last hour",
            f"Ended without a goodbye, last beat {newest:%H:%M:%S} UTC; their tasks went back.",
            address=reverse("admin:coordination_workernode_changelist"),
        )


def _halted(scene: Scene) -> Iterator[Concern]:
    for key in scene.halted:
        yield Concern(
            WARNING,
            f"Lane {key} is halted",
            "A dead task holds up what comes after it: replay it, or leave it out.",
            f"python manage.py lane skip {shlex.quote(key)}",
        )


def _dead(scene: Scene) -> Iterator[Concern]:
    number = sum(row.dead for row in scene.swarms)
    if number:
        yield Concern(
            WARNING,
            f"{number:,} dead letter{'' if number == 1 else 's'}",
            "Out of attempts: look at the errors, then replay or leave them to retention.",
            "python manage.py dead list",
            address=reverse("admin:coordination_task_changelist") + "?status__exact=dead",
        )
