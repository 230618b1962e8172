"""``check``: list the health checks, run one, declare them in YAML.

Django has a command of the same name: without one of our verbs this is still that one, so
``manage.py check --deploy`` works as everywhere.
"""

from __future__ import annotations

import argparse
from typing import Any

import yaml
from django.core.management.base import CommandParser
from django.core.management.commands.check import Command as SystemChecks

from ansf_platform.accounts.models import Tenant
from ansf_platform.screen import cell
from ansf_platform.terminal import Exit, Usage
from coordination.declaration import markup
from coordination.errors import Invalid
from coordination.management import console
from healthchecks import documents, selectors
from healthchecks.definitions import COMMAND
from healthchecks.documents import Difference
from healthchecks.measuring import Outcome, run_now
from healthchecks.models import HealthCheck
from healthchecks.monitor import State
from healthchecks.probes import missing_setting
from healthchecks.selectors import CheckView

VERBS = ("list", "run", "apply", "export")
HELP = ("-h", "--help")
COLUMNS = ("name", "tenant", "kind", "target", "state", "since", "last", "message")
SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "same": ("=", "dim")}


class Command(console.Command):
    """Health checks: list, run, apply, export."""

    help = "List health checks, run one now, declare them in YAML; without a verb: Django's check."

    def run_from_argv(self, argv: list[str]) -> None:
        if any(word in (*VERBS, *HELP) for word in argv[2:]):
            super().run_from_argv(argv)
        else:
            SystemChecks().run_from_argv(argv)

    def add_common(self, parser: argparse.ArgumentParser, *, verb: bool) -> None:
        super().add_common(parser, verb=verb)
        if not verb:
            parser.set_defaults(tenant=None)

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        verb("list", self.list_checks, "All checks with their states (--tenant: what it sees).")
        run = verb("run", self.run, "Measure one check now and record the reading.")
        run.add_argument("name", help="Name of the check.")
        apply = verb("apply", self.apply, "Make checks what a YAML file says.")
        apply.add_argument("file", help="A YAML file; - is stdin.")
        apply.add_argument("--dry-run", action="store_true", help="Only show the difference.")
        verb("export", self.export, "The checks as YAML for `check apply`.")

    def _tenant(self, options: dict[str, Any]) -> Tenant | None:
        return self.tenant(options) if options["tenant"] else None

    def list_checks(self, options: dict[str, Any]) -> None:
        """Print every check with its state."""
        found = selectors.views(selectors.visible(self._tenant(options)))
        rows = [_row(view) for view in found]
        if self.screen.as_json:
            self.screen.json({"checks": rows})
        else:
            self.screen.table(COLUMNS, ([row[name] for name in COLUMNS] for row in rows))

    def run(self, options: dict[str, Any]) -> None:
        """Measure one check; exit code 3 when it is degraded or failed."""
        check = selectors.check(self._tenant(options), options["name"])
        if missing := missing_setting(check.kind):
            raise Usage(f"{missing} is not set here: run it from the admin, or set {missing}")
        outcome = run_now(check, COMMAND)
        found = outcome.measured.measurement
        told = _told(check, outcome)
        if self.screen.as_json:
            self.screen.json(told)
        else:
            self.screen.fields({name: value for name, value in told.items() if value != ""})
        if found.state is not State.OK:
            raise SystemExit(int(Exit.THRESHOLD))

    def apply(self, options: dict[str, Any]) -> None:
        """Apply a YAML file, or show what it would change."""
        tenant, dry_run = self._tenant(options), options["dry_run"]
        text = console.read_text(options["file"], markup.MAX_BYTES)
        try:
            entries = documents.checks_from(markup.load(text))
            plan = documents.apply_checks(tenant, entries, COMMAND, dry_run=dry_run)
        except Invalid as error:
            raise console.in_file(options["file"], error) from error
        if self.screen.as_json:
            self.screen.json({"dry_run": dry_run, "checks": plan})
            return
        for difference in plan:
            self._show(difference)
        changed = sum(difference.action != "same" for difference in plan)
        verdict = "would be changed" if dry_run else "changed"
        self.screen.note(f"{changed} of {len(plan)} checks {verdict}")

    def _show(self, difference: Difference) -> None:
        sign, style = SIGNS[difference.action]
        self.screen.line(f"{sign} {difference.name}", style)
        for name, (old, new) in difference.changes.items():
            self.screen.line(f"    {name}: {cell(old)} → {cell(new)}", style)

    def export(self, options: dict[str, Any]) -> None:
        """Print the checks of the tenant, or of the platform."""
        rows = HealthCheck.objects.filter(tenant=self._tenant(options))
        document = documents.as_document(rows)
        if self.screen.as_json:
            self.screen.json(document)
        else:
            text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
            self.screen.line(text.rstrip("\n"))


def _row(view: CheckView) -> dict[str, Any]:
    check, reading = view.check, view.reading
    return {
        "name": check.name,
        "tenant": check.tenant.slug if check.tenant else None,
        "kind": check.kind,
        "target": check.target,
        "severity": check.severity,
        "state": view.state,
        "since": view.since,
        "last": reading.at if reading else None,
        "value": reading.value if reading else None,
        "unit": reading.unit if reading else "",
        "message": reading.message if reading else "",
    }


def _told(check: HealthCheck, outcome: Outcome) -> dict[str, Any]:
    measured, flip = outcome.measured, outcome.flip
    found = measured.measurement
    return {
        "name": check.name,
        "state": found.state.value,
        "message": found.message,
        "fix": "" if found.state is State.OK else found.fix,
        "value": found.value,
        "unit": found.unit,
        "duration_ms": measured.duration_ms,
        "flip": f"{flip.before} → {flip.after}" if flip else None,
    }
