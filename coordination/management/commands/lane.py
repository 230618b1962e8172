"""``lane``: ordering keys, and moving on those that a dead task has halted."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce

from ansf_platform.terminal import Failure
from coordination import swarms
from coordination.errors import NotFound
from coordination.management import console
from coordination.models import Lane, LaneEntry


class Command(console.Command):
    """Lanes: list, skip, unhalt."""

    help = "List lanes and go on with those that a dead task halted."

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        listed = verb("list", self.list_lanes, "Lanes and how many tasks they hold.")
        listed.add_argument("--halted", action="store_true", help="Only those that stand still.")
        listed.add_argument("--limit", type=console.positive, default=100, help="Default 100.")
        for name, about in (
            ("skip", "Leave the dead task out and go on with the next."),
            ("unhalt", "The same: lift the halt."),
        ):
            verb(name, self.go_on, about).add_argument("lane", help="The ordering key.")

    def list_lanes(self, options: dict[str, Any]) -> None:
        """Print lanes by key."""
        held = LaneEntry.objects.filter(lane=OuterRef("pk")).values("lane")
        counted = held.annotate(count=Count("pk")).values("count")
        found = Lane.objects.filter(tenant=self.tenant(options))
        if options["halted"]:
            found = found.filter(halted=True)
        found = found.annotate(tasks=Coalesce(Subquery(counted), 0))[: options["limit"]]
        columns = ("key", "tasks", "halted", "on_dead")
        rows = [{name: getattr(lane, name) for name in columns} for lane in found]
        if self.screen.as_json:
            self.screen.json({"lanes": rows})
            return
        self.screen.table(columns, ([row[name] for name in columns] for row in rows))

    def go_on(self, options: dict[str, Any]) -> None:
        """Lift a lane's halt."""
        tenant, key = self.tenant(options), options["lane"]
        lane = Lane.objects.filter(tenant=tenant, key=key).first()
        if lane is None:
            raise NotFound(f"tenant {tenant} has no lane {key!r}: `lane list` names them")
        with self.audited(tenant) as entry:
            moved = swarms.go_on(lane)
            if moved:
                entry("lane.skip", "lane", lane.pk, key=key)
        if self.screen.as_json:
            self.screen.json({"lane": key, "moved": moved})
        elif moved:
            self.screen.line(f"{key} goes on")
        if not moved:
            raise Failure(f"lane {key!r} was not halted: nothing was changed")
