"""``limit``: list the policies, show one with its levels, set, test, reset, remove."""

from __future__ import annotations

import argparse
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from ansf_platform.accounts.audit import record as audit
from ansf_platform.accounts.models import Tenant
from ansf_platform.first_run.servers import beside_up
from ansf_platform.screen import bar
from ansf_platform.terminal import Command as TerminalCommand
from ansf_platform.terminal import Exit, Unavailable, Usage
from ratelimit import asking, definitions, selectors, shapes
from ratelimit.buckets import Bucket
from ratelimit.definitions import COMMAND
from ratelimit.errors import Invalid, NotFound, PolicyError
from ratelimit.forecast import forecast
from ratelimit.models import Policy
from ratelimit.selectors import KeyLevel, PolicyView
from ratelimit.spec import CHOICES, differences, spec_from, spec_of
from ratelimit.subject import FIELDS

COLUMNS = (
    "name",
    "tenant",
    "applies_to",
    "scope",
    "limit",
    "burst",
    "allowed/s",
    "denied/s",
    "state",
)
AS_LIMIT = "limit"
SWITCHES = ("enabled", "shadow")
REDIS_AWAY = "Redis does not answer: look at REDIS_URL, or wait until it is back"


def number(value: str) -> int:
    """Parse a whole number; `spec.validate` judges its size."""
    try:
        return int(value.replace("_", ""))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{value!r} is not a whole number") from error


def burst(value: str) -> int | str:
    """Parse a burst; `limit` means as many as the limit."""
    return value if value == AS_LIMIT else number(value)


def seconds(value: str) -> Decimal:
    """Parse seconds, exactly."""
    try:
        return Decimal(value)
    except InvalidOperation as error:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number of seconds") from error


class Command(TerminalCommand):
    """Limits: list, show, set, test, reset, remove."""

    help = "Look at limits and their levels, change them, ask what they would do, fill them up."
    refusals: ClassVar[tuple[type[Exception], ...]] = (PolicyError,)

    def add_common(self, parser: argparse.ArgumentParser, *, verb: bool) -> None:
        super().add_common(parser, verb=verb)
        parser.add_argument(
            "--tenant",
            default=argparse.SUPPRESS if verb else "",
            help="Slug of the tenant (default: the platform's limits).",
        )

    def declare(self, parser: CommandParser) -> None:
        verb = self.verbs(parser)
        verb("list", self.list_policies, "All limits (--tenant: those it sees).")
        self._named(verb("show", self.show, "One limit with the levels of its busiest keys."))
        self._named(_with_columns(verb("set", self.set, "Create a limit, or change its fields.")))
        test = self._named(verb("test", self.test, "What would happen; charges nothing."))
        test.add_argument("--cost", type=number, default=1, help="Units of one request.")
        test.add_argument("--times", type=number, default=1, help="Requests at once.")
        reset = self._named(verb("reset", self.reset, "Fill up the bucket of one subject."))
        for chosen in (test, reset):
            for name in FIELDS:
                if name != "tenant":
                    chosen.add_argument(f"--{name}", help=f"The subject's {name}.")
            chosen.add_argument("--tenant-id", help="The subject's tenant, by id.")
        self._named(verb("remove", self.remove, "Remove a limit."))

    @staticmethod
    def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
        parser.add_argument("name", help="Name of the limit.")
        return parser

    def explain(self, error: BaseException) -> CommandError:
        if isinstance(error, Invalid):
            return Usage("; ".join(f"{one.field[1:]}: {one.message}" for one in error.errors))
        return super().explain(error)

    def handle(self, *args: Any, **options: Any) -> None:
        with beside_up():
            super().handle(*args, **options)

    # --- looking --------------------------------------------------------------------------
    def list_policies(self, options: dict[str, Any]) -> None:
        """Print every limit with what it decided lately."""
        tenant = _tenant(options)
        found = selectors.views(selectors.visible(tenant).order_by("name"), tenant)
        if self.screen.as_json:
            self.screen.json({"limits": [_told(view) for view in found]})
        else:
            self.screen.table(COLUMNS, map(_line, found))

    def show(self, options: dict[str, Any]) -> None:
        """Print one limit."""
        tenant = _tenant(options)
        view = selectors.view_of(selectors.policy(tenant, options["name"]), tenant)
        if self.screen.as_json:
            self.screen.json(_told(view) | {"state": shapes.render_state(view)})
            return
        shown = {name: value for name, value in _told(view).items() if value not in ("", None)}
        self.screen.fields(shown)
        if not view.seen.known:
            self.screen.note(REDIS_AWAY)
        denial = view.seen.denial
        if denial:
            self.screen.fields({"last denial": denial.at, "of": denial.key})
        for each in view.keys:
            if each.state is not None:
                left, whole = each.state.remaining, each.bucket.quota.burst
                self.screen.line(f"{bar(left, whole)} {left:>9,} of {whole:,}  {each.key}")

    def test(self, options: dict[str, Any]) -> None:
        """Say what would happen; exit code 3 when it would be denied, 75 without Redis."""
        row, bucket = _bucket(options)
        state, degraded = asking.state_of(bucket)
        if degraded:
            raise Unavailable(REDIS_AWAY)
        try:
            found = forecast(bucket, state, options["cost"], options["times"])
        except ValueError as error:
            raise Usage(error) from error
        level = KeyLevel(selectors.shown(bucket.key), 0, bucket, state)
        told = {"limit": row.name} | shapes.render_answer(level, found, degraded=degraded)
        if self.screen.as_json:
            self.screen.json(told)
        else:
            self.screen.fields({name: value for name, value in told.items() if value is not None})
        if not found.allowed:
            raise SystemExit(int(Exit.THRESHOLD))

    # --- changing -------------------------------------------------------------------------
    def set(self, options: dict[str, Any]) -> None:
        """Create or change a limit."""
        tenant, name = _tenant(options), options["name"]
        given = {column: options[column] for column in _settable() if options[column] is not None}
        if options["burst"] == AS_LIMIT:
            given["burst"] = None
        row = Policy.objects.filter(tenant=tenant, name=name).first()
        if row is None:
            row = definitions.create(tenant, spec_from({"name": name, **given}), COMMAND)
            told = [f"{row.name}: created"]
        else:
            changes = differences(spec_of(row), replace(spec_of(row), **given))
            row = definitions.update(row, replace(spec_of(row), **given), COMMAND)
            told = [f"{row.name}: {name} {old} → {new}" for name, (old, new) in changes.items()]
        if self.screen.as_json:
            self.screen.json(shapes.render(row))
            return
        for line in told or [f"{row.name}: unchanged"]:
            self.screen.line(line)

    def reset(self, options: dict[str, Any]) -> None:
        """Fill up a bucket."""
        row, bucket = _bucket(options)
        if not asking.reset(bucket):
            raise Unavailable(REDIS_AWAY)
        audit(
            "policy.reset", "policy", row.pk, actor=COMMAND.actor, tenant=row.tenant,
            name=row.name, key=bucket.key,
        )  # fmt: skip
        if self.screen.as_json:
            self.screen.json({"key": bucket.key, "reset": True})
        else:
            self.screen.line(f"{row.name}: the bucket of {bucket.key} is full again")

    def remove(self, options: dict[str, Any]) -> None:
        """Remove a limit."""
        row = _own(_tenant(options), options["name"])
        definitions.delete(row, COMMAND)
        if self.screen.as_json:
            self.screen.json({"removed": row.name})
        else:
            self.screen.line(f"{row.name}: removed")


def _with_columns(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--limit", type=number, help="Units in each period.")
    parser.add_argument("--period", dest="period_seconds", type=seconds, help="Seconds.")
    parser.add_argument("--burst", type=burst, help="Units at once, or `limit`.")
    parser.add_argument("--key-template", dest="key_template", help="Such as {tenant}:{model}.")
    for name, values in CHOICES.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, dest=name, help=f"One of {', '.join(values)}.")
    for name in SWITCHES:
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=None)
    return parser


def _settable() -> tuple[str, ...]:
    return ("limit", "period_seconds", "burst", "key_template", *CHOICES, *SWITCHES)


def _tenant(options: dict[str, Any]) -> Tenant | None:
    slug = options["tenant"]
    if not slug:
        return None
    found = Tenant.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound(f"there is no tenant {slug!r}: the admin lists those there are")
    return found


def _own(tenant: Tenant | None, name: str) -> Policy:
    row = Policy.objects.filter(tenant=tenant, name=name).first()
    if row is None:
        whose = f"tenant {tenant.slug}" if tenant else "the platform"
        raise NotFound(f"{whose} has no limit named {name}: `limit list` shows those there are")
    return row


def _bucket(options: dict[str, Any]) -> tuple[Policy, Bucket]:
    tenant = _tenant(options)
    row = selectors.policy(tenant, options["name"])
    about = {name: options.get(name) for name in FIELDS if name != "tenant"}
    about["tenant"] = options["tenant_id"] or (str(tenant.pk) if tenant else None)
    given = {name: value for name, value in about.items() if value is not None}
    return row, asking.bucket_of(row, given)


def _told(view: PolicyView) -> dict[str, Any]:
    row = view.row
    seen = view.seen
    return shapes.render(row) | {
        "tenant": row.tenant.slug if row.tenant else None,
        "allowed_per_s": seen.rate("allowed") if seen.known else None,
        "denied_per_s": seen.rate("denied") if seen.known else None,
    }


def _line(view: PolicyView) -> list[Any]:
    row, seen = view.row, view.seen
    slots = row.unit == Policy.Unit.CONCURRENCY
    period = f"{row.period_seconds.normalize():f} s"
    return [
        row.name,
        row.tenant.slug if row.tenant else "",
        row.applies_to,
        row.key_template or row.scope,
        f"{row.limit:,} at once" if slots else f"{row.limit:,} {row.unit} / {period}",
        row.limit if row.burst is None else row.burst,
        seen.rate("allowed") if seen.known else None,
        seen.rate("denied") if seen.known else None,
        "off" if not row.enabled else "shadow" if row.shadow else "on",
    ]
