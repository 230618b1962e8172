"""A running system to break, seen from the test: its rows, its processes, its servers."""

from __future__ import annotations

import itertools
import uuid
from pathlib import Path

from django.db import DatabaseError, InterfaceError, connection, connections
from django.utils import timezone

from ansf_platform.accounts.models import Tenant
from ansf_platform.services.probes import wait_until
from benchmarks import handlers
from benchmarks.stack import Stack
from coordination import selectors
from coordination.definitions import define
from coordination.lifecycle.judging import STEADY_SECONDS
from coordination.models import TERMINAL, Lease, Task
from coordination.submission import TaskRequest, submit_many
from tests.faults.verdict import Ledger

START_S = 60.0  # a worker on busy cores, kernels compiled
SETTLE_S = 60.0
LEADER = "coordinator"
_numbers = itertools.count()


class System:
    """A stack, and questions about it that wait for an answer."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.tenant = Tenant.objects.get(slug="default")
        with connection.cursor() as cursor:
            cursor.execute(handlers.EFFECTS_TABLE)

    @property
    def directory(self) -> Path:
        return self.stack.directory

    def ledger(self) -> Ledger:
        """Counts from now on."""
        return Ledger(self.directory)

    # --- definitions and tasks

    def definition(self, handler="bench.effect", **columns) -> str:
        """A new definition under a name of its own: nothing is known of its run times."""
        name = f"fault-{next(_numbers)}-{uuid.uuid4().hex[:6]}"
        define(self.tenant, name, handler=handler, **columns)
        return name

    def submit(self, definition, payloads) -> list[uuid.UUID]:
        """Submit one task per payload."""
        requests = [TaskRequest(definition=definition, payload=payload) for payload in payloads]
        done = submit_many(requests, tenant=self.tenant)
        return [submission.task_id for submission in done.submissions]

    def gate(self) -> Path:
        """A file that does not exist yet: tasks wait for it."""
        return self.directory / f"gate-{next(_numbers)}"

    def ended(self, tasks) -> int:
        """How many of the tasks have ended."""
        return Task.objects.filter(id__in=tasks, status__in=TERMINAL).count()

    def in_status(self, tasks, *statuses) -> int:
        return Task.objects.filter(id__in=tasks, status__in=statuses).count()

    def drain(self, tasks, deadline_s=SETTLE_S) -> None:
        """Wait until all have ended; what is left then is for the verdict to tell."""
        wait_until(lambda: self.ended(tasks) == len(tasks), deadline_s, every_s=0.1)

    def starts_of(self, task) -> list[handlers.Execution]:
        """Every execution of a task that began."""
        return [e for e in handlers.executions(self.directory) if e.task_id == task.hex]

    def wait_for_starts(self, tasks, count=1, deadline_s=SETTLE_S) -> None:
        """Wait until each task was begun so many times."""
        self.wait(
            lambda: all(len(self.starts_of(task)) >= count for task in tasks),
            f"{len(tasks)} tasks to start {count} times",
            deadline_s,
        )

    def seconds_until_restart(self, tasks, since) -> float:
        """From `since` (Unix time) to the last of the tasks' first start after it."""
        return max(
            min(e.at for e in self.starts_of(task) if e.at > since) - since for task in tasks
        )

    def wait(self, condition, what, deadline_s=SETTLE_S) -> None:
        """Wait until the condition holds; fails with the logs' ends otherwise."""
        if not wait_until(condition, deadline_s, every_s=0.05):
            ends = "\n".join(self.log_ends())
            raise AssertionError(f"waited {deadline_s:g} s in vain for {what}\n{ends}")

    def log_ends(self, characters=3_000) -> list[str]:
        return [
            f"--- {path.name}\n{path.read_text(errors='replace')[-characters:]}"
            for path in sorted(self.directory.glob("*.log"))
        ]

    # --- processes

    def lead(self, name=LEADER, *, steady=True):
        """Start a coordinator unless it runs; wait until somebody leads (and may judge)."""
        if name not in self.stack.processes or not self.stack.processes[name].alive:
            self.stack.coordinator(name)
        self.wait(lambda: self.leader() is not None, "a leader", START_S)
        if steady:
            self.wait(self._steady, "a leader that may judge leases", START_S)
        return self.stack.processes[name]

    def leader(self) -> Lease | None:
        """The lease while it has not run out."""
        return Lease.objects.filter(name="coordinator", expires_at__gt=timezone.now()).first()

    def _steady(self) -> bool:
        lease = self.leader()
        return (
            lease is not None
            and (timezone.now() - lease.steady_since).total_seconds() > STEADY_SECONDS
        )

    def worker(self, pool, slots, name=""):
        """Start a worker and wait until it beats with free slots."""
        name = name or f"worker-{pool}"
        process = self.stack.worker(pool, slots, name)
        self.wait(lambda: self.has_free_slots(process), f"{name} to take work", START_S)
        return process

    def has_free_slots(self, process) -> bool:
        """Whether the process's last beat, not older than its lease, tells of a free slot."""
        return any(
            view.alive and view.node.free_slots > 0 and view.node.idle_beats > 0
            for view in selectors.live_workers()
            if view.node.pid == process.pid
        )

    def is_alive(self, process) -> bool:
        """Whether the process's lease runs."""
        return any(v.alive for v in selectors.live_workers() if v.node.pid == process.pid)

    def heal(self) -> None:
        """End every process but the leader, and have every server answer again."""
        for server in (self.stack.postgres, self.stack.broker, self.stack.valkey):
            if server is not None:
                if server.running:
                    server.resume()
                server.start()
        reconnect()
        ending = {
            name: process
            for name, process in self.stack.processes.items()
            if name != LEADER or not process.alive
        }
        for process in ending.values():
            process.begin_stop()
        for name, process in ending.items():
            process.stop(deadline_s=5.0)
            del self.stack.processes[name]
        Task.objects.exclude(status__in=TERMINAL).delete()

    def neighbours(self, task) -> list[uuid.UUID]:
        """The other members of the envelope that carried a task, ended or not."""
        row = Task.objects.get(id=task)
        found = Task.objects.filter(envelope=row.envelope).exclude(id=task)
        return list(found.values_list("id", flat=True))


def reconnect() -> None:
    """Drop the test's own connection, which an outage broke."""
    try:
        connections["default"].close()
    except (DatabaseError, InterfaceError):
        connections["default"].connection = None
