"""What a declaration may say: the fields of each section and what they accept."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coordination import bodies
from coordination.models import Pool, Schedule

Check = Callable[[Any], str]  # what the value must be, or "" when it is so

SLUG = re.compile(r"[A-Za-z0-9_-]{1,50}")
NAME = re.compile(r"[^\s\x00-\x1f/][^\x00-\x1f]{0,99}")
LARGEST = 2_147_483_647  # of an integer column


@dataclass(frozen=True, slots=True)
class Field:
    """The column that a key of the YAML sets, and what it accepts."""

    column: str
    check: Check


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One declared agent and the columns that were given."""

    name: str
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SwarmSpec:
    """One declared swarm; agents are None when the declaration says nothing about them."""

    slug: str
    columns: Mapping[str, Any]
    agents: tuple[AgentSpec, ...] | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One declared definition, schedule or limit and the columns that were given."""

    name: str
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Declaration:
    """What shall be, checked as far as that goes without looking at rows."""

    swarms: tuple[SwarmSpec, ...] = ()
    definitions: tuple[Item, ...] = ()
    schedules: tuple[Item, ...] = field(default=())
    limits: tuple[Item, ...] = ()


def text(limit: int) -> Check:
    """Text of at most `limit` characters."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value) > limit:
            return f"must be text of at most {limit} characters"
        return _storable(value)

    return check


def whole(low: int, high: int = LARGEST) -> Check:
    """A whole number from `low` to `high`."""

    def check(value: Any) -> str:
        fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return "" if fits else f"must be a whole number from {low} to {high}"

    return check


def number(low: float, high: float = 1e9) -> Check:
    """A number from `low` to `high`; NaN is neither."""

    def check(value: Any) -> str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if is_number and low <= value <= high else f"must be a number from {low:g} up"

    return check


def optional(inner: Check) -> Check:
    """Null, or what `inner` accepts."""

    def check(value: Any) -> str:
        wrong = "" if value is None else inner(value)
        return f"{wrong}, or null" if wrong else ""

    return check


def choice(*values: str) -> Check:
    """One of `values`."""

    def check(value: Any) -> str:
        return "" if value in values else f"must be one of {', '.join(values)}"

    return check


def boolean(value: Any) -> str:
    """True or false."""
    return "" if isinstance(value, bool) else "must be true or false"


def texts(value: Any) -> str:
    """A list of short texts."""
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        return "must be a list of names"
    return _storable(value)


def mapping(value: Any) -> str:
    """An object that JSON can hold."""
    if not isinstance(value, dict):
        return "must be a mapping"
    return _storable(value) or ("" if _has_text_keys(value) else "must have quoted text as keys")


def _storable(value: Any) -> str:
    """Why no database would keep `value` as JSON ("" when it would)."""
    try:
        bodies.encode(value)
    except bodies.BodyInvalid as error:
        return f"must hold what JSON can keep ({error})"
    return ""


def _has_text_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _has_text_keys(part) for key, part in value.items())
    return all(map(_has_text_keys, value)) if isinstance(value, list) else True


PRIORITY = whole(0, 9)
SMALL = 32_767  # of a small integer column

SWARM: Mapping[str, Field] = {
    "name": Field("name", text(100)),
    "weight": Field("weight", whole(1, 1000)),
    "agents_min": Field("agents_min", whole(0, SMALL)),
    "agents_max": Field("agents_max", whole(0, SMALL)),
    "capabilities": Field("capabilities", texts),
    "limits": Field("limits", texts),
    "budget": Field("budget", mapping),
    "aging_seconds": Field("aging_seconds", optional(number(0))),
    "paused": Field("paused", boolean),
}
AGENT: Mapping[str, Field] = {
    "role": Field("role", text(50)),
    "slots": Field("slots", whole(1, 1000)),
    "capabilities": Field("capabilities", texts),
    "model_settings": Field("model_settings", mapping),
    "enabled": Field("enabled", boolean),
}
DEFINITION: Mapping[str, Field] = {
    "handler": Field("handler", text(200)),
    "pool": Field("pool", choice(*Pool.values)),
    "schema": Field("schema", mapping),
    "swarm": Field("default_swarm", optional(text(50))),
    "priority": Field("default_priority", PRIORITY),
    "time_limit_seconds": Field("time_limit_seconds", number(0.1)),
    "max_attempts": Field("max_attempts", whole(1, 100)),
    "backoff_seconds": Field("backoff_seconds", number(0)),
    "backoff_cap_seconds": Field("backoff_cap_seconds", number(0)),
    "capabilities": Field("capabilities", texts),
    "limits": Field("limits", texts),
    "cache": Field("cache", mapping),
    "idempotent": Field("idempotent", boolean),
    "replication": Field("replication", whole(1, SMALL)),
    "memory_mb": Field("memory_mb", optional(whole(1))),
    "description": Field("description", text(10_000)),
    "enabled": Field("enabled", boolean),
}
SCHEDULE: Mapping[str, Field] = {
    "definition": Field("definition_name", text(100)),
    "swarm": Field("swarm", optional(text(50))),
    "payload": Field("payload", mapping),
    "priority": Field("priority", optional(PRIORITY)),
    "cron": Field("cron", text(100)),
    "interval_seconds": Field("interval_seconds", optional(number(1))),
    "timezone": Field("timezone", text(50)),
    "catch_up": Field("catch_up", choice(*Schedule.CatchUp.values)),
    "overlap": Field("overlap", choice(*Schedule.Overlap.values)),
    "enabled": Field("enabled", boolean),
}
