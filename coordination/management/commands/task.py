"""``task``: look at tasks, follow their logs, cancel and retry them."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from ansf_platform.accounts.models import Tenant
from ansf_platform.terminal import Failure
from coordination import lifecycle, selectors
from coordination.errors import NotFound
from coordination.management import console, shapes
from coordination.models import TERMINAL, Status, Task

FOLLOW_EVERY = 0.5  # seconds between two looks at a log
NEWEST = 50


class Command(console.Command):
    """Tasks: list, show, logs, cancel, retry."""

    help = "Look at tasks, follow their logs, cancel and retry them."

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        listed = verb("list", self.list_tasks, "The newest tasks.")
        listed.add_argument("--status", choices=Status.values)
        listed.add_argument("--swarm", help="Slug of a swarm.")
        listed.add_argument("--definition", help="Name of a task definition.")
        listed.add_argument("--priority", type=console.priority)
        listed.add_argument("--run", type=console.identifier, help="Id of a run.")
        listed.add_argument("--key", help="Unique key.")
        listed.add_argument("--since", type=console.past, help="ISO time, or 1h ago.")
        listed.add_argument("--limit", type=console.positive, default=NEWEST, help="Default 50.")
        shown = verb("show", self.show, "One task: timeline, attempts, payload, result.")
        logs = verb("logs", self.logs, "What the handler logged.")
        logs.add_argument("-f", "--follow", action="store_true", help="Go on until it ends.")
        for single in (shown, logs):
            single.add_argument("id", type=console.identifier)
        cancelled = verb("cancel", self.cancel, "Cancel tasks that have not ended.")
        retried = verb("retry", self.retry, "Run dead, cancelled or expired tasks again.")
        for several in (cancelled, retried):
            several.add_argument("ids", type=console.identifier, nargs="+", metavar="ID")

    def list_tasks(self, options: dict[str, Any]) -> None:
        """Print the newest tasks that match."""
        names = ("status", "swarm", "definition", "priority", "run", "key")
        filters = {name: options[name] for name in names}
        found = selectors.tasks(self.tenant(options), created_after=options["since"], **filters)
        tasks = found.prefetch_related("definition", "swarm", "lane", "agent", "worker")
        rows = [shapes.of_task(task) for task in tasks[: options["limit"]]]
        if self.screen.as_json:
            self.screen.json({"tasks": rows})
            return
        columns = ("id", "definition", "swarm", "status", "priority", "attempt", "created_at")
        self.screen.table(columns, ([row[name] for name in columns] for row in rows))

    def show(self, options: dict[str, Any]) -> None:
        """Print one task whole."""
        task = selectors.task(self.tenant(options), options["id"])
        attempts = [shapes.of_attempt(attempt) for attempt in selectors.attempts_of(task)]
        timeline = selectors.timeline_of(task)
        whole = shapes.of_task(task)
        bodies = {"payload": selectors.payload_of(task), "result": selectors.result_of(task)}
        holds = [asdict(hold) for hold in selectors.holds_of(task)]
        if self.screen.as_json:
            parts = {"attempts": attempts, "timeline": timeline, "limits": holds}
            self.screen.json(whole | bodies | parts)
            return
        self.screen.fields({k: v for k, v in whole.items() if k not in shapes.TASK_TIMES})
        self.screen.table(
            ("at", "what", "detail"),
            ((event.at, event.what, event.detail) for event in timeline),
            "\nTimeline",
        )
        if holds:
            rows = ([*hold.values()] for hold in holds)
            self.screen.table([*holds[0]], rows, "\nWaits for policies")
        columns = ("number", "outcome", "worker", "wait_ms", "run_ms", "error_message")
        rows = ([attempt[name] for name in columns] for attempt in attempts)
        self.screen.table(columns, rows, "\nAttempts")
        for name, body in bodies.items():
            self.screen.line(f"\n{name.capitalize()}", "bold")
            self.screen.line(console.pretty(body))

    def logs(self, options: dict[str, Any]) -> None:
        """Print the log; with --follow, what is added to it until the task ends."""
        tenant = self.tenant(options)
        task, shown = selectors.task(tenant, options["id"]), ""
        while True:
            text = selectors.log_of(task)
            if options["follow"] or not self.screen.as_json:
                self._add_log(task, text, shown)
            if not options["follow"] or task.status in TERMINAL:
                break
            shown = text
            time.sleep(FOLLOW_EVERY)
            task = selectors.task(tenant, options["id"])
        if self.screen.as_json and not options["follow"]:
            self.screen.json({"id": task.pk, "status": task.status, "log": text})

    def _add_log(self, task: Task, text: str, shown: str) -> None:
        # An earlier attempt's log may still grow; then the whole is shown again.
        fresh = text.removeprefix(shown) if text.startswith(shown) else text
        if fresh and self.screen.as_json:
            self.screen.json({"id": task.pk, "status": task.status, "log": fresh})
        elif fresh:
            self.screen.line(fresh.rstrip("\n"))

    def cancel(self, options: dict[str, Any]) -> None:
        """Cancel what has not ended; running handlers are told to stop."""
        tenant = self.tenant(options)
        with self.audited(tenant) as entry:
            answers = lifecycle.cancel(tenant.pk, options["ids"])
            for task_id, answer in answers.items():
                if answer in {"cancelled", "requested"}:
                    entry("task.cancel", "task", task_id, answer=answer)
        self._report(tenant, dict(answers), "finished", "had ended before")

    def retry(self, options: dict[str, Any]) -> None:
        """Replay dead, cancelled and expired tasks."""
        tenant = self.tenant(options)
        with self.audited(tenant) as entry:
            answers = lifecycle.replay(tenant.pk, options["ids"])
            for task_id, answer in answers.items():
                if answer == "replayed":
                    entry("task.retry", "task", task_id)
        self._report(tenant, dict(answers), "not_ended", "can not be retried")

    def _report(self, tenant: Tenant, answers: dict[Any, str], late: str, why: str) -> None:
        if self.screen.as_json:
            self.screen.json({"tasks": {str(key): answer for key, answer in answers.items()}})
        else:
            self.screen.table(("id", "answer"), answers.items())
        missing = [str(key) for key, answer in answers.items() if answer == "missing"]
        if missing:
            raise NotFound(f"tenant {tenant} has no task {', '.join(missing)}")
        too_late = [str(key) for key, answer in answers.items() if answer == late]
        if too_late:
            raise Failure(f"{', '.join(too_late)} {why}: see `task show ID`")
