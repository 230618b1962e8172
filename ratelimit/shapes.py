"""What requests and answers about policies look like."""

from __future__ import annotations

from typing import Any

from ansf_platform.schemas import (
    array,
    boolean,
    choice,
    define,
    integer,
    moment,
    nullable,
    number,
    page_of,
    record,
    text,
)
from ratelimit.counting import OUTCOMES
from ratelimit.forecast import MOST_COST, MOST_TIMES, Forecast
from ratelimit.models import Policy
from ratelimit.selectors import WINDOW_S, KeyLevel, PolicyView
from ratelimit.subject import FIELDS, LONGEST_TEMPLATE

# The bounds are judged by `spec.validate`, in the words of admin and YAML: here are the types.
SETTINGS: dict[str, Any] = {
    "unit": choice(*Policy.Unit.values, description="Cost is in millionths of a dollar."),
    "limit": {"type": "integer", "description": "Units in each period, on the long run."},
    "period_seconds": {"type": "number", "description": "Above 0, whole microseconds."},
    "burst": nullable({"type": "integer", "description": "Units at once; null: the limit."}),
    "scope": {
        "type": "string",
        "description": f"What has a bucket of its own: {', '.join(Policy.Scope.values)}.",
    },
    "key_template": text(
        10 * LONGEST_TEMPLATE, description="For scope template, such as {tenant}:{model}."
    ),
    "on_deny": choice(
        *Policy.OnDeny.values,
        description="Left out: wait where it is named, reject elsewhere. Web requests never wait.",
    ),
    "without_redis": choice(*Policy.WithoutRedis.values),
    "applies_to": choice(*Policy.Place.values),
    "enabled": boolean(),
    "shadow": boolean(description="Counts, and never denies."),
}
NAME = text(100, shortest=1)
POLICY = define(
    "Limit",
    record(
        {
            "id": integer(1),
            "name": NAME,
            "platform": boolean(description="It is the platform's, not the tenant's."),
            **SETTINGS,
            "created_at": moment(),
            "revision": integer(1),
        }
    ),
)
POLICIES = page_of(POLICY)
PLATFORM = boolean(default=False, description="Make it the platform's; superusers only.")
POLICY_NEW = define(
    "LimitNew",
    record(
        {"name": NAME, "limit": SETTINGS["limit"]},
        {**{k: v for k, v in SETTINGS.items() if k != "limit"}, "platform": PLATFORM},
    ),
)
POLICY_CHANGE = define("LimitChange", record({}, {"name": NAME, **SETTINGS}))

SUBJECT = {name: text(200, shortest=1) for name in FIELDS}
ABOUT = define("LimitSubject", record({}, SUBJECT))
QUESTION = define(
    "LimitQuestion",
    record({}, {**SUBJECT, "cost": integer(1, MOST_COST), "times": integer(1, MOST_TIMES)}),
)
SECONDS = nullable(number(0, 1e12))
LEVEL = {
    "key": text(400),
    "remaining": nullable(integer(-(2**53), 2**53)),
    "burst": integer(1),
    "reset_after": SECONDS,
}
SERIES = array(integer(), WINDOW_S)
STATE = define(
    "LimitState",
    record(
        {
            "known": boolean(description="False while Redis cannot be asked."),
            "allowed": SERIES,
            "denied": SERIES,
            "shadowed": SERIES,
            "totals": record({name: integer() for name in OUTCOMES}),
            "keys": array(record({**LEVEL, "asked": integer()})),
            "last_denial": nullable(
                record({"key": text(400), "at": moment(), "retry_after": SECONDS})
            ),
        }
    ),
)
ANSWER = define(
    "LimitAnswer",
    record(
        {
            **LEVEL,
            "allowed": boolean(),
            "passes": integer(description="How many of `times` would pass at once."),
            "left": integer(description="Units left after those."),
            "retry_after": SECONDS,
            "last_after": SECONDS,
            "never": boolean(description="The cost exceeds the burst."),
            "degraded": boolean(description="Redis cannot be asked."),
        }
    ),
)
RESET = define("LimitReset", record({"key": text(400), "reset": boolean()}))


def render(row: Policy) -> dict[str, Any]:
    """A policy as JSON."""
    columns = {name: getattr(row, name) for name in SETTINGS}
    return {
        "id": row.pk,
        "name": row.name,
        "platform": row.tenant_id is None,
        **columns,
        "period_seconds": float(row.period_seconds),
        "created_at": row.created_at,
        "revision": row.revision,
    }


def render_state(view: PolicyView) -> dict[str, Any]:
    """What is seen of a policy, as JSON."""
    seen, denial = view.seen, view.seen.denial
    return {
        "known": seen.known,
        "allowed": list(seen.allowed),
        "denied": list(seen.denied),
        "shadowed": list(seen.shadowed),
        "totals": {name: seen.totals.get(name, 0) for name in OUTCOMES},
        "keys": [{**_level(each), "asked": each.asked} for each in view.keys],
        "last_denial": denial
        and {"key": denial.key, "at": denial.at, "retry_after": denial.retry_after},
    }


def _level(each: KeyLevel) -> dict[str, Any]:
    return {
        "key": each.key,
        "remaining": each.state.remaining if each.state else None,
        "burst": each.bucket.quota.burst,
        "reset_after": each.state.reset_after if each.state else None,
    }


def render_answer(level: KeyLevel, found: Forecast, *, degraded: bool) -> dict[str, Any]:
    """What would happen, as JSON."""
    return {
        **_level(level),
        "allowed": found.allowed,
        "passes": found.passes,
        "left": found.left,
        "retry_after": found.retry_after,
        "last_after": found.last_after,
        "never": found.never,
        "degraded": degraded,
    }
