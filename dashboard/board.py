"""Everything the page shows, read at one moment for one tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ansf_platform.accounts.models import Tenant
from coordination import selectors
from coordination.models import Lease
from coordination.selectors import SwarmOverview, WorkerView
from dashboard import reads
from dashboard.attention import Concern, Scene, concerns
from dashboard.depths import PoolDepth, pool_depths
from dashboard.reads import Failure, RunningTask
from healthchecks.selectors import CheckView, views, visible


@dataclass(frozen=True, slots=True)
class SwarmRow:
    """A swarm and how many of its agents' slots hold an envelope."""

    overview: SwarmOverview
    busy: int

    @property
    def load(self) -> float:
        """Busy slots in percent of all; an agent disabled meanwhile may still hold one."""
        slots = self.overview.slots
        return min(100.0, 100.0 * self.busy / slots) if slots else 0.0


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the tenant's swarms."""

    waiting: int
    in_flight: int
    running: int
    succeeded_1m: int
    dead: int
    agents: int


@dataclass(frozen=True, slots=True)
class Board:
    """The page's content; `now` is the database's clock."""

    tenant: Tenant
    now: datetime
    lease: Lease | None
    led: bool
    concerns: Sequence[Concern]
    totals: Totals
    swarms: Sequence[SwarmRow]
    pools: Sequence[PoolDepth]
    running: Sequence[RunningTask]
    failures: Sequence[Failure]
    workers: Sequence[WorkerView]
    checks: Sequence[CheckView]

    @property
    def summary(self) -> str:
        """One sentence for those who listen to the page."""
        need = len(self.concerns)
        told = f"{need} thing{'s' if need != 1 else ''} need a human" if need else "all is well"
        totals = self.totals
        return f"{told}; {totals.waiting} waiting, {totals.running} running, {totals.dead} dead"


def board_of(tenant: Tenant) -> Board:
    """Read the board; a fixed number of queries whatever there is to show."""
    now = reads.database_now()
    overview = selectors.swarm_overview(tenant)
    depths = selectors.queue_depths(tenant)
    workers = selectors.live_workers()
    checks = views(visible(tenant).order_by("name"))
    lease = next((row for row in selectors.leases() if row.name == "coordinator"), None)
    halted = reads.halted_lanes(tenant)
    scene = Scene(now, lease, overview, depths, workers, checks, halted)
    busy = reads.busy_slots(tenant)
    return Board(
        tenant,
        now,
        lease,
        scene.led,
        concerns(scene),
        _totals(overview),
        [SwarmRow(row, busy.get(row.swarm.pk, 0)) for row in overview],
        pool_depths(depths),
        reads.running_tasks(tenant),
        reads.recent_failures(tenant),
        workers,
        checks,
    )


def _totals(rows: Sequence[SwarmOverview]) -> Totals:
    return Totals(
        sum(row.waiting for row in rows),
        sum(row.in_flight for row in rows),
        sum(row.running for row in rows),
        sum(row.succeeded_1m for row in rows),
        sum(row.dead for row in rows),
        sum(row.agents for row in rows),
    )
