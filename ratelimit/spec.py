"""What a policy may say: its columns, their ranges, and every mistake by name.

Admin, REST, YAML and the command line all ask :func:`validate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from ansf_platform.field_errors import FieldError
from ratelimit.errors import Invalid
from ratelimit.models import Policy
from ratelimit.quota import Quota
from ratelimit.subject import SCOPE_TEMPLATES, TemplateInvalid, check_template, fields_of

# `$` also matches before a last newline; `(?!\n)` says no.
NAME_PATTERN = r"^[a-z0-9]([a-z0-9_-]{0,98}[a-z0-9])?(?!\n)$"
NAME = re.compile(NAME_PATTERN)
MOST_UNITS = 100_000_000
MOST_SLOTS = 10_000
DAY = 86_400
SLOWEST, FASTEST = Fraction(1, 31 * DAY), Fraction(100_000)  # units per second that are exact
SHORTEST_PERIOD = Decimal("0.000001")
LONGEST_PERIOD = Decimal(366 * DAY)
SHORTEST_LIFE = 1  # seconds, of a place whose holder crashed
LONGEST_FILL = 366 * DAY  # seconds that a burst may take to come back
MICRO = 1_000_000
UNKNOWN_OF_TASKS = frozenset({"model", "address"})  # fields of subjects
ENGINE_FIELDS = {"limit": "limit", "period_us": "period_seconds", "burst": "burst"}

Mistakes = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySpec:
    """What somebody wants to be limited; the columns of a policy that people write."""

    name: str
    limit: int
    unit: str = Policy.Unit.REQUESTS.value
    period_seconds: Decimal = Decimal(1)
    burst: int | None = None
    scope: str = Policy.Scope.TENANT.value
    key_template: str = ""
    on_deny: str = Policy.OnDeny.WAIT.value
    without_redis: str = Policy.WithoutRedis.LOCAL.value
    applies_to: str = Policy.Place.NAMED.value
    enabled: bool = True
    shadow: bool = False

    @property
    def quota(self) -> Quota:
        """The numbers alone, as the limiter takes them. Raises ValueError."""
        burst = self.limit if self.burst is None else self.burst
        return Quota(self.limit, int(self.period_seconds * MICRO), burst)


COLUMNS = tuple(column.name for column in fields(PolicySpec))
CHOICES: dict[str, list[str]] = {
    "unit": Policy.Unit.values,
    "scope": Policy.Scope.values,
    "on_deny": Policy.OnDeny.values,
    "without_redis": Policy.WithoutRedis.values,
    "applies_to": Policy.Place.values,
}


def spec_of(row: Policy) -> PolicySpec:
    """The spec that a row came from."""
    return PolicySpec(**{name: getattr(row, name) for name in COLUMNS})


def spec_from(columns: dict[str, Any]) -> PolicySpec:
    """A spec of columns as JSON or YAML gives them; not judged yet."""
    place = columns.get("applies_to", Policy.Place.NAMED)
    given = {"name": "", "limit": None, "on_deny": usual_on_deny(place)} | columns
    usual = usual_period(given.get("unit"))
    given["period_seconds"] = _decimal(given.get("period_seconds", usual))
    return PolicySpec(**given)


def usual_period(unit: object) -> Decimal:
    """The period of a policy that does not say: for places the life of a holder that crashed."""
    return Decimal(30) if unit == Policy.Unit.CONCURRENCY else Decimal(1)


def usual_on_deny(place: object) -> str:
    """What a policy does that does not say: work waits its turn, a request does not."""
    named = place == Policy.Place.NAMED
    return (Policy.OnDeny.WAIT if named else Policy.OnDeny.REJECT).value


def _decimal(value: Any) -> Any:
    """The exact decimal of a number; anything else as it is, for `validate` to name."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    try:
        return Decimal(str(value))
    except (InvalidOperation, ValueError):  # an integer of thousands of digits
        return value


def differences(before: PolicySpec, after: PolicySpec) -> dict[str, tuple[Any, Any]]:
    """The columns that differ, with both values."""
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in COLUMNS)
    return {name: (old, new) for name, old, new in pairs if old != new}


def validate(spec: PolicySpec, *, platform: bool) -> None:
    """Raise Invalid with everything that is wrong with a spec."""
    errors = [FieldError(f"/{name}", text) for name, text in _mistakes(spec, platform=platform)]
    if errors:
        raise Invalid(errors)


def _mistakes(spec: PolicySpec, *, platform: bool) -> Mistakes:
    if not (_is(spec.name, str) and NAME.match(spec.name)):
        yield "name", "use 1 to 100 of a-z, 0-9, - and _, with a letter or digit at both ends"
    for name in ("enabled", "shadow"):
        if not _is(getattr(spec, name), bool):
            yield name, "use true or false"
    wrong_choices = list(_choice_mistakes(spec))
    yield from wrong_choices
    number_mistakes = list(_number_mistakes(spec))
    yield from number_mistakes
    if not wrong_choices:
        yield from _template_mistakes(spec)
        yield from _place_mistakes(spec, platform=platform)
    if not (wrong_choices or number_mistakes):
        yield from _rate_mistakes(spec)


def _is(value: object, kind: type) -> bool:
    """Whatever the annotations of a spec promise: a document or a body may hold anything."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _choice_mistakes(spec: PolicySpec) -> Mistakes:
    for name, values in CHOICES.items():
        value = getattr(spec, name)
        if not (_is(value, str) and value in values):
            yield name, f"there is no {name} {_shown(value)}: use one of {', '.join(values)}"


def _shown(value: object) -> str:
    return repr(value)[:60]


def _number_mistakes(spec: PolicySpec) -> Mistakes:
    if not (_is(spec.limit, int) and 1 <= spec.limit <= MOST_UNITS):
        yield "limit", f"use a whole number from 1 to {MOST_UNITS:,}; `enabled: false` turns it off"
    burst = spec.burst
    if burst is not None and not (_is(burst, int) and 1 <= burst <= MOST_UNITS):
        yield "burst", f"use a whole number from 1 to {MOST_UNITS:,}, or null for the limit"
    period = spec.period_seconds
    # A comparison with NaN raises.
    finite = _is(period, Decimal) and period.is_finite()
    if not (finite and SHORTEST_PERIOD <= period <= LONGEST_PERIOD):
        yield "period_seconds", "use seconds above 0, at most 366 days"
    elif period * MICRO % 1:
        yield "period_seconds", "use at most 6 decimals: the limiter counts microseconds"


def _rate_mistakes(spec: PolicySpec) -> Mistakes:
    if spec.unit == Policy.Unit.CONCURRENCY:
        yield from _slot_mistakes(spec)
        return
    rate = Fraction(spec.limit) / Fraction(spec.period_seconds)
    burst = spec.limit if spec.burst is None else spec.burst
    if not SLOWEST <= rate <= FASTEST:
        told = f"that is {float(rate):g} per second"
        yield "limit", f"{told}: use a rate from one in 31 days to 100,000 per second"
    elif burst / rate > LONGEST_FILL:
        yield "burst", "it would take more than 366 days to come back: use a smaller one"
    else:
        yield from _quota_mistakes(spec)


def _quota_mistakes(spec: PolicySpec) -> Mistakes:
    """The engine's own word: it names the field before a colon."""
    try:
        _ = spec.quota
    except ValueError as error:
        name, _, text = str(error).partition(": ")
        yield ENGINE_FIELDS.get(name, "limit"), text or str(error)


def _slot_mistakes(spec: PolicySpec) -> Mistakes:
    if spec.limit > MOST_SLOTS:
        yield "limit", f"use at most {MOST_SLOTS:,} slots"
    if spec.burst not in {None, spec.limit}:
        yield "burst", "slots have no burst: leave it out"
    if spec.period_seconds < SHORTEST_LIFE:
        told = "for so long a holder that has crashed keeps its slot"
        yield "period_seconds", f"{told}, and one that lives must be heard in it: use 1 or more"
    if (spec.applies_to, spec.on_deny) == (Policy.Place.NAMED, Policy.OnDeny.REJECT):
        yield "on_deny", "slots are taken when work starts, too late to refuse it: use wait or shed"


def wrong_for_tasks(spec: PolicySpec) -> str:
    """Why a policy cannot do for a swarm's or a definition's tasks what it says; empty: it can."""
    if spec.on_deny != Policy.OnDeny.REJECT:
        return ""
    if spec.unit != Policy.Unit.REQUESTS:
        return f"it refuses submissions, and {spec.unit} is counted later: let it wait or shed"
    if "agent" in fields_of(spec.key_template or SCOPE_TEMPLATES[spec.scope]):
        return "it refuses submissions, when no agent is chosen yet: let it wait or shed"
    return ""


def idle_for_tasks(template: str) -> str:
    """Why a policy that counts by this limits no task; empty: it may."""
    unknown = [name for name in fields_of(template) if name in UNKNOWN_OF_TASKS]
    if not unknown:
        return ""
    told = f"it counts by {unknown[0]}, which nobody knows of a task"
    return f"{told}: let the handler name it, or apply it to the gateway"


def _template_mistakes(spec: PolicySpec) -> Mistakes:
    if not _is(spec.key_template, str):
        yield "key_template", "use a text"
    elif spec.scope != Policy.Scope.TEMPLATE:
        if spec.key_template:
            yield "key_template", f"scope {spec.scope} has its own key: use scope template, or none"
    else:
        try:
            check_template(spec.key_template)
        except TemplateInvalid as error:
            yield "key_template", str(error)


def _place_mistakes(spec: PolicySpec, *, platform: bool) -> Mistakes:
    place = spec.applies_to
    if place == Policy.Place.LOGIN and not platform:
        yield "applies_to", "sign-ins belong to no tenant yet: only the platform limits them"
    if place in {Policy.Place.API, Policy.Place.LOGIN}:
        if spec.unit != Policy.Unit.REQUESTS:
            yield "unit", f"{place} counts requests: use that, or apply it elsewhere"
        if spec.on_deny == Policy.OnDeny.WAIT:
            yield "on_deny", "a web request does not wait: use reject or shed"
