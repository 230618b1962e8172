"""``cost``: what calls of models cost and what was saved; budgets; roll-ups."""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.utils import timezone

from ansf_platform import terminal
from ansf_platform.accounts.audit import record as audit
from ansf_platform.accounts.models import Tenant
from ansf_platform.terminal import Exit, Usage
from gateway import budgets, costs, rollups, spending
from gateway.costs import BASELINE, GROUPS, Cost, Report
from gateway.router import dollars
from ratelimit.definitions import COMMAND

HEADINGS = (
    "calls",
    "hits",
    "tokens in",
    "tokens out",
    "spent",
    "saved",
    "cache",
    "routing",
    "compression",
)


def day(value: str) -> date:
    """Parse a day: 2030-01-31, today, or so many days ago as 7d."""
    today = timezone.now().date()
    if value == "today":
        return today
    if value.endswith("d") and value[:-1].isdecimal() and len(value) < 6:  # noqa: PLR2004 - 274 years
        return today - timedelta(days=int(value[:-1]))
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        told = f"{value!r} is no day: use 2030-01-31, today or 7d"
        raise argparse.ArgumentTypeError(told) from error


class Command(terminal.Command):
    """Report, entries, budgets, rollup, prune, release."""

    help = "What calls of models cost, what was saved, and how budgets stand."
    refusals: ClassVar[tuple[type[Exception], ...]] = ()

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        reported = _spanned(verb("report", self.report, "Spent and saved, by group."))
        reported.add_argument("--by", choices=GROUPS, default="model")
        reported.add_argument("--csv", action="store_true", help="Print the groups as CSV.")
        _spanned(verb("entries", self.entries, "Every call, as CSV."))
        shown = verb("budgets", self.budgets, "How budgets stand; exit 3 if one is exhausted.")
        shown.add_argument("--tenant", default="default", help="Slug; default: default.")
        verb("rollup", self.rollup, "Sum up the days and months that have ended.")
        pruned = verb("prune", self.prune, "Delete entries of days that are rolled up.")
        pruned.add_argument("--before", type=day, required=True, help="2030-01-31, or 400d.")
        pruned.add_argument("--yes", action="store_true", help="Do not ask.")
        released = verb("release", self.release, "Give back what calls that died have reserved.")
        released.add_argument("--tenant", default="default", help="Slug; default: default.")
        released.add_argument("--hours", type=float, default=24.0, help="Held for so long.")

    def report(self, options: dict[str, Any]) -> None:
        """Print what was spent and saved."""
        found = costs.report(
            _tenant(options["tenant"]), options["by"], options["since"], options["until"]
        )
        if options["csv"]:
            self._csv(costs.csv_of_report(found))
        elif self.screen.as_json:
            self.screen.json(found.as_dict())
        else:
            self._table(found)

    def _table(self, found: Report) -> None:
        rows = [*found.groups, found.total] if found.groups else []
        self.screen.table((found.by, *HEADINGS), map(_line, rows))
        self.screen.note(f"saved against {BASELINE}")

    def entries(self, options: dict[str, Any]) -> None:
        """Print every entry as CSV."""
        if self.screen.as_json:
            raise Usage("entries are CSV: leave --json out, or ask the REST API for pages")
        rows = costs.entries_of(_tenant(options["tenant"]), options["since"], options["until"])
        self._csv(costs.csv_of_entries(rows))

    def _csv(self, parts: Any) -> None:
        for part in parts:
            self.stdout.write(part, ending="")

    def budgets(self, options: dict[str, Any]) -> None:
        """Print how each budget of a tenant stands."""
        tenant = _tenant(options["tenant"])
        found = spending.levels(tenant.pk) if tenant else []
        if self.screen.as_json:
            self.screen.json({"budgets": [_level(each) for each in found]})
        else:
            headings = ("budget", "counts", "period", "spent", "held", "soft", "hard", "state")
            self.screen.table(headings, map(_level_line, found))
        if any(each.state == "exhausted" and each.budget.enabled for each in found):
            raise SystemExit(int(Exit.THRESHOLD))

    def rollup(self, options: dict[str, Any]) -> None:
        """Bring the sums up to date."""
        total = 0
        while done := rollups.bring_up_to_date():
            total += done
        self._told({"days": total}, f"{total} days summed up")

    def prune(self, options: dict[str, Any]) -> None:
        """Delete old entries; their sums stay."""
        before = options["before"]
        self.confirm(f"Delete the entries of all tenants from before {before}?", yes=options["yes"])
        total = 0
        while done := rollups.prune(before):
            total += done
        audit("ledger.prune", "ledger", before, actor=COMMAND.actor, entries=total)
        self._told({"entries": total}, f"{total} entries deleted; their sums stay")

    def release(self, options: dict[str, Any]) -> None:
        """Give back what was reserved long ago and never settled."""
        tenant = _tenant(options["tenant"])
        if tenant is None or options["hours"] < 0:
            raise Usage("name a tenant, and hours from 0 on")
        count = budgets.release(tenant.pk, timezone.now() - timedelta(hours=options["hours"]))
        audit("budget.release", "budget", "*", actor=COMMAND.actor, tenant=tenant, holds=count)
        self._told({"holds": count}, f"{count} reservations given back")

    def _told(self, told: dict[str, Any], line: str) -> None:
        if self.screen.as_json:
            self.screen.json(told)
        else:
            self.screen.line(line)


def _spanned(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--tenant", default="", help="Slug; default: all tenants.")
    parser.add_argument("--since", type=day, help="First day: 2030-01-31, today, 7d.")
    parser.add_argument("--until", type=day, help="First day not to include.")
    return parser


def _tenant(slug: str) -> Tenant | None:
    if not slug:
        return None
    found = Tenant.objects.filter(slug=slug).first()
    if found is None:
        raise Usage(f"there is no tenant {slug!r}: the admin lists those there are")
    return found


def _line(cost: Cost) -> tuple[Any, ...]:
    counts = f"{cost.calls:,}", f"{cost.hits:,}", f"{cost.tokens_in:,}", f"{cost.tokens_out:,}"
    sums = cost.cost, cost.saved, cost.saved_cache, cost.saved_routing, cost.saved_compression
    return (cost.name or "(none)", *counts, *map(dollars, sums))


def _level(level: spending.Level) -> dict[str, Any]:
    budget = level.budget
    return {
        "name": budget.name,
        "scope": budget.scope,
        "subject": budget.subject,
        "period": budget.period,
        "start": level.start.isoformat(),
        "end": level.end.isoformat(),
        "spent": level.spent,
        "held": level.held,
        "soft": budget.soft,
        "hard": budget.hard,
        "enabled": budget.enabled,
        "state": level.state,
    }


def _level_line(level: spending.Level) -> tuple[Any, ...]:
    budget = level.budget
    bounds = (None if bound is None else dollars(bound) for bound in (budget.soft, budget.hard))
    counts = f"{budget.scope} {budget.subject}".strip()
    state = level.state if budget.enabled else "off"
    return (
        budget.name, counts, f"{budget.period} from {level.start}",
        dollars(level.spent), dollars(level.held), *bounds, state,
    )  # fmt: skip
