"""``dead``: dead letters, and running them again."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import QuerySet

from ansf_platform.terminal import Failure, Usage
from coordination import lifecycle, selectors
from coordination.errors import NotFound
from coordination.management import console, shapes
from coordination.models import Attempt, Task

NEWEST = 50
BATCH = 500  # tasks replayed in one transaction: locks stay short
FILTERS = ("definition", "swarm", "error")


class Command(console.Command):
    """Dead letters: list, replay."""

    help = "List dead letters and replay them."

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        listed = verb("list", self.list_dead, "The newest dead letters and their errors.")
        listed.add_argument("--limit", type=console.positive, default=NEWEST, help="Default 50.")
        replayed = verb("replay", self.replay, "Run dead letters again, by id or by filter.")
        replayed.add_argument("ids", type=console.identifier, nargs="*", metavar="ID")
        replayed.add_argument("--all", action="store_true", help="Every dead letter.")
        replayed.add_argument("--yes", action="store_true", help="Do not ask.")
        for filtered in (listed, replayed):
            filtered.add_argument("--definition", help="Name of a task definition.")
            filtered.add_argument("--swarm", help="Slug of a swarm.")
            filtered.add_argument("--error", metavar="TYPE", help="Type, such as ValueError.")
            filtered.add_argument("--since", type=console.past, help="Ended after: ISO, or 1h.")

    def _found(self, options: dict[str, Any]) -> QuerySet[Task]:
        return selectors.dead_letters(
            self.tenant(options),
            definition=options["definition"],
            swarm=options["swarm"],
            error_type=options["error"],
            ended_after=options["since"],
        )

    def list_dead(self, options: dict[str, Any]) -> None:
        """Print dead letters, newest first."""
        found = self._found(options).prefetch_related(
            "definition", "swarm", "lane", "agent", "worker"
        )
        tasks = list(found[: options["limit"]])
        errors = last_errors(tasks)
        rows = [shapes.of_task(task) | errors.get(task.pk, NO_ERROR) for task in tasks]
        if self.screen.as_json:
            self.screen.json({"dead": rows})
            return
        columns = ("id", "definition", "swarm", "attempt", "finished_at", "error")
        for row in rows:
            row["error"] = console.shorten(f"{row['error_type']}: {row['error_message']}")
        self.screen.table(columns, ([row[name] for name in columns] for row in rows))

    def replay(self, options: dict[str, Any]) -> None:
        """Make dead letters ready again."""
        tenant = self.tenant(options)
        ids = options["ids"] or self._chosen(options)
        answers: Counter[str] = Counter()
        missing: list[str] = []
        with self.screen.progress("replaying", len(ids)) as advance:
            for start in range(0, len(ids), BATCH):
                with self.audited(tenant) as entry:
                    batch = lifecycle.replay(tenant.pk, ids[start : start + BATCH])
                    done = [str(key) for key, answer in batch.items() if answer == "replayed"]
                    if done:
                        entry("dead.replay", "task", done[0], tasks=done)
                answers.update(batch.values())
                missing += [str(key) for key, answer in batch.items() if answer == "missing"]
                advance(start + BATCH)
        self._report(answers)
        if missing:
            raise NotFound(f"tenant {tenant} has no task {', '.join(missing[:3])}")
        if answers["not_ended"] and not answers["replayed"]:
            raise Failure("nothing was replayed: the tasks have not ended badly")

    def _chosen(self, options: dict[str, Any]) -> list[Any]:
        if not options["all"] and not any(options[name] for name in (*FILTERS, "since")):
            raise Usage("name the tasks, give a filter (--definition, --swarm, --error) or --all")
        ids = list(self._found(options).values_list("pk", flat=True))
        if ids:
            self.confirm(f"Replay {len(ids)} dead tasks?", yes=options["yes"])
        return ids

    def _report(self, answers: Counter[str]) -> None:
        if self.screen.as_json:
            names = ("replayed", "not_ended", "missing")
            self.screen.json({name: answers[name] for name in names})
        else:
            self.screen.line(f"{answers['replayed']} replayed")


NO_ERROR = {"error_type": "", "error_message": ""}


def last_errors(tasks: list[Task]) -> dict[Any, dict[str, str]]:
    """The error of each task's last attempt that has one."""
    found: dict[Any, dict[str, str]] = {}
    attempts = Attempt.objects.filter(task_id__in=[task.pk for task in tasks]).order_by("id")
    for attempt in attempts.only("task_id", "error_type", "error_message"):
        if attempt.error_type or attempt.error_message:
            found[attempt.task_id] = {
                "error_type": attempt.error_type,
                "error_message": attempt.error_message,
            }
    return found
