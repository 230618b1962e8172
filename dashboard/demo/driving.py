"""Driving a started system: swarms applied, one run submitted, its end awaited."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.db.models import Count

from ansf_platform.accounts.models import DEFAULT_TENANT
from ansf_platform.first_run.running import Interrupted, RunningSystem
from coordination import declaration
from coordination.models import IN_FLIGHT, TERMINAL, Agent, Attempt, Outcome, Run, Task
from coordination.runs import submit_run
from coordination.selectors import live_workers
from coordination.submission import resolve_tenant
from dashboard.demo import graph
from dashboard.demo.progress import RunProgress
from dashboard.demo.windows import Cutting

_WORKERS_S = 180.0  # the first start of a machine compiles every kernel
_MOST_RESTARTS = 3  # a part that cannot start will not start the tenth time either
_STANDSTILL_S = 60.0
_LOOK_EVERY_S = 0.1
_SWARMS = Path("examples") / "swarms.yaml"
_OWN = Path(__file__).with_name("definitions.yaml")


class DemoFailed(RuntimeError):
    """The system did not do its work; the message says which part of it."""


def apply_swarms() -> tuple[int, int]:
    """Six swarms and the definitions of their work; how many swarms and agents there are then."""
    tenant = resolve_tenant(DEFAULT_TENANT)
    slugs: list[str] = []
    for path in (Path(settings.BASE_DIR) / _SWARMS, _OWN):
        wanted = declaration.parse(path.read_text(encoding="utf-8"))
        declaration.apply(tenant, wanted, actor="demo")
        slugs += [swarm.slug for swarm in wanted.swarms]
    agents = Agent.objects.filter(swarm__tenant=tenant, swarm__slug__in=slugs, enabled=True)
    return len(slugs), agents.count()


def await_workers(running: RunningSystem) -> None:
    """Return when both pools report a free slot. Raises DemoFailed, Interrupted."""
    give_up = time.monotonic() + _WORKERS_S

    def ready() -> bool:
        if time.monotonic() >= give_up:
            raise DemoFailed(f"the workers were not ready within {_WORKERS_S:.0f} s")
        _refuse_to_wait_for_the_broken(running)
        pools = {view.node.pool for view in live_workers() if view.alive and view.node.free_slots}
        return pools >= {"cpu", "io"}

    running.run(ready)
    _check_signal(running)


def submit(cuttings: Sequence[Cutting]) -> Run:
    """One run for all series."""
    nodes, edges = graph.build(cuttings)
    return submit_run("demo", nodes, edges)


def follow(run: Run, running: RunningSystem, progress: RunProgress) -> None:
    """Show the run until its last task ended. Raises DemoFailed, Interrupted."""
    look = _Look(run, progress)
    running.run(look.ended)
    _check_signal(running)
    lost = look.counts.total() - look.counts["succeeded"]
    if lost:
        raise DemoFailed(f"{lost} tasks did not succeed{_first_error(run)}")


class _Look:
    """Counts the tasks of a run by status, not more often than useful."""

    def __init__(self, run: Run, progress: RunProgress) -> None:
        self.counts: Counter[str] = Counter()
        self._run, self._progress = run, progress
        self._next = 0.0
        self._moved = time.monotonic()

    def ended(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _LOOK_EVERY_S
        rows = Task.objects.filter(run=self._run).values("status").annotate(n=Count("id"))
        counts = Counter({row["status"]: row["n"] for row in rows.order_by()})
        if counts != self.counts:
            self.counts, self._moved = counts, now
        elif now - self._moved > _STANDSTILL_S:
            raise DemoFailed(f"nothing moved for {_STANDSTILL_S:.0f} s: {dict(counts)}")
        done = sum(counts[status] for status in TERMINAL)
        self._progress.show(done, sum(counts[status] for status in IN_FLIGHT))
        return done == self._run.nodes_total


def _first_error(run: Run) -> str:
    tasks = Task.objects.filter(run=run).values_list("id", flat=True)
    bad = Attempt.objects.filter(task_id__in=list(tasks)).exclude(outcome=Outcome.SUCCEEDED)
    first = bad.order_by("id").first()
    return f"; the first error: {first.error_type} {first.error_message}" if first else ""


def _refuse_to_wait_for_the_broken(running: RunningSystem) -> None:
    for child in running.status():
        if child.restarts >= _MOST_RESTARTS:
            raise DemoFailed(f"{child.name} has ended {child.restarts + 1} times")


def _check_signal(running: RunningSystem) -> None:
    if running.asked_to_stop is not None:
        raise Interrupted
