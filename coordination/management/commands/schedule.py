"""``schedule``: tasks submitted again and again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from ansf_platform.accounts.models import Tenant
from coordination import declaration, schedules
from coordination.errors import NotFound
from coordination.management import console, shapes
from coordination.models import Schedule


class Command(console.Command):
    """Schedules: list, create, run, enable, disable, delete."""

    help = "List, create, run, enable, disable and delete schedules."

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        verb("list", self.list_schedules, "All schedules and when they are due.")
        self._declare_create(verb("create", self.create, "Create a schedule, or change it."))
        deleted = verb("delete", self.delete, "Delete a schedule; its tasks stay.")
        deleted.add_argument("--yes", action="store_true", help="Do not ask.")
        deleted.add_argument("schedule", help="Name.")
        for name, act, about in (
            ("run", self.run, "Submit its task now, whatever the time."),
            ("enable", self.enable, "Let it fire again, from now on."),
            ("disable", self.disable, "Stop firing."),
        ):
            verb(name, act, about).add_argument("schedule", help="Name.")

    def _declare_create(self, created: Any) -> None:
        created.add_argument("schedule", help="Name.")
        created.add_argument("definition", help="Name of a task definition.")
        when = created.add_mutually_exclusive_group(required=True)
        when.add_argument("--cron", help='Five fields, such as "0 3 * * *".')
        when.add_argument("--every", type=console.duration, help="30s, 5m, 2h.")
        created.add_argument("--timezone", help="Of the cron expression; default UTC.")
        created.add_argument("--payload", type=console.json_value, help="A JSON object.")
        created.add_argument("--swarm", help="Slug.")
        created.add_argument("--priority", type=console.priority)
        created.add_argument("--catch-up", choices=Schedule.CatchUp.values)
        created.add_argument("--overlap", choices=Schedule.Overlap.values)

    def list_schedules(self, options: dict[str, Any]) -> None:
        """Print all schedules."""
        found = Schedule.objects.filter(tenant=self.tenant(options)).select_related("swarm")
        rows = [shapes.of_schedule(schedule) for schedule in found]
        if self.screen.as_json:
            self.screen.json({"schedules": rows})
            return
        columns = ("name", "definition_name", "cron", "interval_seconds", "enabled", "next_at")
        more = (*columns, "last_error")
        self.screen.table(more, ([row[name] for name in more] for row in rows))

    def create(self, options: dict[str, Any]) -> None:
        """Create or change one schedule."""
        tenant, name = self.tenant(options), options["schedule"]
        given = {
            "definition": options["definition"],
            "cron": options["cron"],
            "interval_seconds": options["every"],
            "timezone": options["timezone"],
            "payload": options["payload"],
            "swarm": options["swarm"],
            "priority": options["priority"],
            "catch_up": options["catch_up"],
            "overlap": options["overlap"],
        }
        fields = {key: value for key, value in given.items() if value is not None}
        wanted = declaration.parse_mapping({"schedules": {name: fields}})
        declaration.apply(tenant, wanted, actor=console.ACTOR)
        self._show(named(tenant, name))

    def run(self, options: dict[str, Any]) -> None:
        """Submit a schedule's task now."""
        tenant = self.tenant(options)
        schedule = named(tenant, options["schedule"])
        with self.audited(tenant) as entry:
            submission = schedules.run_now(schedule)
            task_id = submission.task_id
            entry("schedule.run", "schedule", schedule.pk, name=schedule.name, task=str(task_id))
        if self.screen.as_json:
            self.screen.json({"schedule": schedule.name, "task": task_id})
        else:
            self.screen.line(str(task_id))

    def enable(self, options: dict[str, Any]) -> None:
        """Enable one schedule."""
        self._switch(options, enabled=True)

    def disable(self, options: dict[str, Any]) -> None:
        """Disable one schedule."""
        self._switch(options, enabled=False)

    def _switch(self, options: dict[str, Any], *, enabled: bool) -> None:
        tenant = self.tenant(options)
        schedule = named(tenant, options["schedule"])
        verb = "enable" if enabled else "disable"
        with self.audited(tenant) as entry:
            schedules.set_enabled(schedule, enabled=enabled)
            entry(f"schedule.{verb}", "schedule", schedule.pk, name=schedule.name)
        self._show(schedule)

    def delete(self, options: dict[str, Any]) -> None:
        """Delete one schedule."""
        tenant = self.tenant(options)
        schedule = named(tenant, options["schedule"])
        self.confirm(f"Delete the schedule {schedule.name}?", yes=options["yes"])
        with self.audited(tenant) as entry:
            entry("schedule.delete", "schedule", schedule.pk, name=schedule.name)
            schedule.delete()
        if self.screen.as_json:
            self.screen.json({"schedule": schedule.name, "deleted": True})
        else:
            self.screen.line(f"{schedule.name} is deleted")

    def _show(self, schedule: Schedule) -> None:
        whole = shapes.of_schedule(schedule)
        if self.screen.as_json:
            self.screen.json(whole)
        else:
            self.screen.fields(whole)


def named(tenant: Tenant, name: str) -> Schedule:
    """The schedule of that name. Raises :class:`NotFound`."""
    found = Schedule.objects.select_related("swarm").filter(tenant=tenant, name=name).first()
    if found is None:
        raise NotFound(f"tenant {tenant} has no schedule {name!r}: `schedule list` names them")
    return found
