"""``status``: swarms, queues, workers, leases and dead letters on one screen."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from ansf_platform.accounts.models import Tenant
from ansf_platform.screen import bar
from coordination import selectors
from coordination.management import console

EVERY = 2.0  # seconds between two readings
SWARM_COLUMNS = (
    "swarm",
    "agents",
    "slots",
    "waiting",
    "in_flight",
    "running",
    "succeeded_1m",
    "dead",
    "paused",
)
QUEUE_COLUMNS = ("pool", "priority", "ready", "dispatched", "oldest_ready_seconds")
LIMIT_COLUMNS = ("policy", "key", "unit", "waiting", "left", "next_in")
WORKER_COLUMNS = ("worker", "pool", "alive", "slots", "free", "running", "draining", "beat_at")
LEASE_COLUMNS = ("lease", "holder", "term", "held", "renewed_at")


class Command(console.Command):
    """What the platform is doing now, derived from rows and leases."""

    help = "Show swarms, queues, workers, leases and dead letters."

    def declare(self, parser: CommandParser) -> None:
        parser.add_argument("--watch", action="store_true", help="Look again every --interval.")
        parser.add_argument("--interval", type=console.duration, default=EVERY, help="Default 2s.")
        parser.add_argument("--rounds", type=console.positive, help="Stop after so many looks.")

    def act(self, options: dict[str, Any]) -> None:
        tenant = self.tenant(options)
        rounds = options["rounds"] if options["watch"] else 1
        done = 0
        while True:
            reading = read(tenant)
            if self.screen.live and options["watch"]:
                self.screen.clear()
            self._show(reading)
            done += 1
            if rounds is not None and done >= rounds:
                return
            time.sleep(max(0.1, options["interval"]))

    def _show(self, reading: dict[str, Any]) -> None:
        if self.screen.as_json:
            self.screen.json(reading)
            return
        screen = self.screen
        screen.line(f"Tenant {reading['tenant']} at {reading['at']:%Y-%m-%d %H:%M:%S} UTC")
        _table(self, "\nSwarms", SWARM_COLUMNS, reading["swarms"])
        deepest = max((queue["ready"] for queue in reading["queues"]), default=0)
        screen.table(
            (*QUEUE_COLUMNS, ""),
            (
                [*(queue[name] for name in QUEUE_COLUMNS), bar(queue["ready"], deepest)]
                for queue in reading["queues"]
            ),
            "\nQueues",
        )
        if reading["limits"]:
            _table(self, "\nWaiting for policies", LIMIT_COLUMNS, reading["limits"])
        _table(self, "\nWorkers", WORKER_COLUMNS, reading["workers"])
        _table(self, "\nLeases", LEASE_COLUMNS, reading["leases"])
        screen.table(("counter", "total"), reading["counters"].items(), "\nCounters")


def _table(
    command: Command, title: str, columns: tuple[str, ...], rows: list[dict[str, Any]]
) -> None:
    command.screen.table(columns, ([row[name] for name in columns] for row in rows), title)


def read(tenant: Tenant) -> dict[str, Any]:
    """One reading: counts of this tenant's swarms and queues, and the whole platform's workers."""
    now = timezone.now()
    return {
        "at": now,
        "tenant": tenant.slug,
        "swarms": [swarm_row(overview) for overview in selectors.swarm_overview(tenant)],
        "queues": [
            {name: getattr(depth, name) for name in QUEUE_COLUMNS}
            for depth in selectors.queue_depths(tenant)
        ],
        "limits": [asdict(queue) for queue in selectors.limit_queues(tenant)],
        "workers": [_worker(view) for view in selectors.live_workers()],
        "leases": [
            {
                "lease": lease.name,
                "holder": lease.holder,
                "term": lease.term,
                "held": lease.expires_at > now,
                "renewed_at": lease.renewed_at,
            }
            for lease in selectors.leases()
        ],
        "counters": selectors.counters(),
    }


def swarm_row(overview: selectors.SwarmOverview) -> dict[str, Any]:
    """A swarm with its counts."""
    swarm = overview.swarm
    counts = {name: getattr(overview, name) for name in SWARM_COLUMNS[1:-1]}
    return {"swarm": swarm.slug, **counts, "paused": swarm.paused}


def _worker(view: selectors.WorkerView) -> dict[str, Any]:
    node = view.node
    return {
        "worker": node.name,
        "pool": node.pool,
        "alive": view.alive,
        "slots": node.concurrency,
        "free": node.free_slots,
        "running": view.running,
        "draining": node.draining,
        "beat_at": node.beat_at,
    }
