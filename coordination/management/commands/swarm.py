"""``swarm``: look at swarms, declare them in YAML, pause and resume them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from ansf_platform.accounts.models import Tenant
from ansf_platform.screen import cell
from coordination import declaration, selectors, swarms
from coordination.declaration import Change
from coordination.errors import Invalid, NotFound
from coordination.management import console
from coordination.management.commands.status import SWARM_COLUMNS, swarm_row
from coordination.models import Swarm

SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "disable": ("-", "red")}
MAX_FILE_BYTES = 1024 * 1024  # what is larger is no YAML of swarms; the parser's own limit is less


class Command(console.Command):
    """Swarms: list, show, apply, export, pause, resume."""

    help = "Look at swarms, declare them in YAML, pause and resume them."

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        verb("list", self.list_swarms, "All swarms of the tenant.")
        verb("export", self.export, "The tenant's swarms as YAML for `swarm apply`.")
        applied = verb("apply", self.apply, "Make swarms what a YAML file says.")
        applied.add_argument("file", help="A YAML file; - is stdin.")
        applied.add_argument("--dry-run", action="store_true", help="Only show the difference.")
        for name, act, about in (
            ("show", self.show, "One swarm and its agents."),
            ("pause", self.pause, "Start nothing more; what runs goes on."),
            ("resume", self.resume, "Start work again."),
        ):
            verb(name, act, about).add_argument("swarm", help="Slug.")

    def list_swarms(self, options: dict[str, Any]) -> None:
        """Print every swarm with its counts."""
        overviews = selectors.swarm_overview(self.tenant(options))
        rows = [swarm_row(overview) for overview in overviews]
        if self.screen.as_json:
            self.screen.json({"swarms": rows})
            return
        self.screen.table(SWARM_COLUMNS, ([row[name] for name in SWARM_COLUMNS] for row in rows))

    def show(self, options: dict[str, Any]) -> None:
        """Print one swarm and its agents."""
        swarm = named(self.tenant(options), options["swarm"])
        names = ("slug", "name", "weight", "agents_min", "agents_max", "capabilities", "limits")
        more = ("budget", "aging_seconds", "paused", "revision", "created_at")
        whole = {name: getattr(swarm, name) for name in (*names, *more)}
        columns = ("name", "role", "slots", "capabilities", "enabled")
        agents = [{name: getattr(agent, name) for name in columns} for agent in swarm.agents.all()]
        if self.screen.as_json:
            self.screen.json(whole | {"agents": agents})
            return
        self.screen.fields(whole)
        rows = ([agent[name] for name in columns] for agent in agents)
        self.screen.table(columns, rows, "\nAgents")

    def apply(self, options: dict[str, Any]) -> None:
        """Apply a YAML file, or show what it would change."""
        tenant = self.tenant(options)
        text = console.read_text(options["file"], MAX_FILE_BYTES)
        dry_run = options["dry_run"]
        try:
            wanted = declaration.parse(text)
            changes = declaration.apply(tenant, wanted, actor=console.ACTOR, dry_run=dry_run)
        except Invalid as error:
            raise console.in_file(options["file"], error) from error
        if self.screen.as_json:
            self.screen.json({"dry_run": dry_run, "changes": changes})
            return
        for change in changes:
            self._show_change(change)
        verdict = "would be made" if dry_run else "made"
        self.screen.note(f"{len(changes)} changes {verdict}" if changes else "nothing to change")

    def _show_change(self, change: Change) -> None:
        sign, style = SIGNS[change.action]
        self.screen.line(f"{sign} {change.kind} {change.name}", style)
        for name, value in change.after.items():
            was = f"{cell(change.before[name])} → " if name in change.before else ""
            self.screen.line(f"    {name}: {was}{cell(value)}", style)

    def export(self, options: dict[str, Any]) -> None:
        """Print the tenant's swarms, definitions and schedules."""
        tenant = self.tenant(options)
        if self.screen.as_json:
            self.screen.json(declaration.export(tenant))
        else:
            self.screen.line(declaration.export_text(tenant).rstrip("\n"))

    def pause(self, options: dict[str, Any]) -> None:
        """Pause one swarm."""
        self._move(options, "pause", swarms.pause)

    def resume(self, options: dict[str, Any]) -> None:
        """Resume one swarm."""
        self._move(options, "resume", swarms.resume)

    def _move(self, options: dict[str, Any], verb: str, move: Callable[[Swarm], Any]) -> None:
        tenant = self.tenant(options)
        swarm = named(tenant, options["swarm"])
        with self.audited(tenant) as entry:
            move(swarm)
            entry(f"swarm.{verb}", "swarm", swarm.pk, slug=swarm.slug)
        swarm.refresh_from_db()
        if self.screen.as_json:
            self.screen.json({"swarm": swarm.slug, "paused": swarm.paused})
        else:
            self.screen.line(f"{swarm.slug} is {'paused' if swarm.paused else 'running'}")


def named(tenant: Tenant, slug: str) -> Swarm:
    """The swarm of that slug. Raises :class:`NotFound`."""
    swarm = Swarm.objects.filter(tenant=tenant, slug=slug).first()
    if swarm is None:
        raise NotFound(f"tenant {tenant} has no swarm {slug!r}: `swarm list` names them")
    return swarm
