"""What a token or a person may do: scopes by name, and the scopes of each role."""

from __future__ import annotations

from ansf_platform.accounts.models import Membership

SCOPES: dict[str, str] = {
    "tasks:read": "See tasks, attempts, logs, runs, lanes, dead letters and queues.",
    "tasks:write": "Submit, cancel and retry tasks and runs; move lanes on.",
    "swarms:read": "See swarms, agents and task definitions.",
    "swarms:admin": "Change swarms, agents and task definitions.",
    "schedules:read": "See schedules and their firings.",
    "schedules:admin": "Change, pause and fire schedules.",
    "dead:replay": "Replay dead letters, one by one or by filter.",
    "workers:read": "See worker processes and leases.",
    "health:read": "See health checks, readings and flips.",
    "health:admin": "Change and run health checks.",
    "patterns:read": "See namespaces and patterns, and search them.",
    "patterns:write": "Add, import and delete patterns.",
    "patterns:admin": "Define, change, reindex and remove namespaces.",
    "gateway:call": "Call models through the gateway.",
    "gateway:read": "See models, calls, costs, the cache and breakers.",
    "gateway:admin": "Change gateway policies and budgets; report answers, invalidate, warm.",
    "limits:read": "See limits, their levels and what they denied.",
    "limits:admin": "Change and reset limits.",
    "tokens:admin": "Create, rotate and revoke tokens.",
    "audit:read": "See who changed what.",
}
VIEWER = frozenset(name for name in SCOPES if name.endswith(":read")) - {"audit:read"}
OPERATOR = VIEWER | {"tasks:write", "patterns:write", "gateway:call", "dead:replay", "audit:read"}
ROLES: dict[str, frozenset[str]] = {
    Membership.Role.VIEWER: VIEWER,
    Membership.Role.OPERATOR: OPERATOR,
    Membership.Role.ADMIN: frozenset(SCOPES),
}


class UnknownScope(ValueError):
    """A scope was asked for that does not exist; the message lists those that do."""


def checked(names: list[str] | tuple[str, ...] | frozenset[str]) -> list[str]:
    """The scopes sorted and without repeats. Raises :class:`UnknownScope`."""
    unknown = sorted(set(names) - set(SCOPES))
    if unknown:
        raise UnknownScope(
            f"unknown scope {', '.join(map(repr, unknown))}: choose from {', '.join(SCOPES)}"
        )
    return sorted(set(names))
