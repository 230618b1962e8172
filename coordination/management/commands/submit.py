"""``submit``: put one task into the queue."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from ansf_platform.accounts.models import Tenant
from ansf_platform.terminal import Exit, Failure, Unavailable, Usage
from coordination import selectors, submission
from coordination.management import console
from coordination.models import TERMINAL, Status

DEFAULT_WAIT = 300.0  # seconds
LOOK_EVERY = 1.0  # seconds between two stages shown


class Command(console.Command):
    """Submit a task and print its id; with --wait follow it to its end."""

    help = "Submit a task and print its id."

    def declare(self, parser: CommandParser) -> None:
        parser.add_argument("definition", help="Name of a task definition.")
        parser.add_argument("--payload", type=console.json_value, help="A JSON object.")
        parser.add_argument("-f", "--file", help="A file with the payload; - is stdin.")
        parser.add_argument("--swarm", help="Slug; else the definition's own.")
        parser.add_argument("--priority", type=console.priority, help="0 to 9, 9 most urgent.")
        parser.add_argument("--key", help="Unique key: a live task that holds it is returned.")
        parser.add_argument(
            "--reject", action="store_true", help="Fail when a live task holds the key."
        )
        parser.add_argument("--lane", help="Ordering key: one after another.")
        parser.add_argument("--delay", type=console.duration, help="Not before: 30s, 5m, 2h.")
        parser.add_argument("--deadline", type=console.moment, help="ISO time, or 10m from now.")
        parser.add_argument(
            "--wait",
            type=console.duration,
            nargs="?",
            const=DEFAULT_WAIT,
            metavar="TIME",
            help="Wait for its end, at most this long (300s).",
        )

    def act(self, options: dict[str, Any]) -> None:
        tenant = self.tenant(options)
        request = self._request(options)
        detail = {"definition": request.definition}
        with self.audited(tenant) as entry:
            placed = submission.submit_many([request], tenant=tenant).submissions[0]
            if placed is None:
                raise Failure("nothing was submitted")
            entry("task.submit", "task", placed.task_id, **detail)
        if not placed.created:
            self.screen.note(f"key {request.key!r} is held by a live task: this one")
        if options["wait"] is None:
            self._show({"id": placed.task_id, "created": placed.created})
        else:
            self._follow(tenant, placed.task_id, options["wait"], created=placed.created)

    def _request(self, options: dict[str, Any]) -> submission.TaskRequest:
        if options["payload"] is not None and options["file"]:
            raise Usage("give the payload either by --payload or by -f, not by both")
        payload = console.read_json(options["file"]) if options["file"] else options["payload"]
        not_before = console.ago(-options["delay"]) if options["delay"] else None
        return submission.TaskRequest(
            definition=options["definition"],
            payload={} if payload is None else payload,
            swarm=options["swarm"],
            priority=options["priority"],
            key=options["key"],
            lane=options["lane"],
            not_before=not_before,
            deadline=options["deadline"],
            on_conflict="reject" if options["reject"] else "existing",
        )

    def _show(self, answer: dict[str, Any]) -> None:
        if self.screen.as_json:
            self.screen.json(answer)
        else:
            self.screen.line(str(answer["id"]))

    def _follow(self, tenant: Tenant, task_id: UUID, seconds: float, *, created: bool) -> None:
        status = self._await_end(tenant, task_id, seconds)
        task = selectors.task(tenant, task_id)
        result = selectors.result_of(task)
        self._show({"id": task_id, "created": created, "status": status, "result": result})
        if status not in TERMINAL:
            raise Unavailable(f"{task_id} is still {status}: `task show {task_id}` tells more")
        if status != Status.SUCCEEDED:
            raise Failure(
                f"{task_id} ended {status}: {task.reason or 'see task show'}", Exit.FAILED
            )
        if not self.screen.as_json:
            self.screen.line(console.pretty(result))

    def _await_end(self, tenant: Tenant, task_id: UUID, seconds: float) -> str:
        """Note each stage until the task has ended or the time is over; the last status."""
        until, shown = time.monotonic() + seconds, ""
        while True:
            status = selectors.task(tenant, task_id).status
            if status != shown:
                self.screen.note(status)
                shown = status
            left = until - time.monotonic()
            if status in TERMINAL or left <= 0:
                return status
            selectors.wait_for(task_id, min(left, LOOK_EVERY))
