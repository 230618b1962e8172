"""Filters as conditions of PostgreSQL on `p.metadata`, with the meaning of `patterns.filters`."""

from __future__ import annotations

import json
from typing import Any

from patterns.filters import RANGES, Condition, Filter

_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
assert set(_SIGNS) == set(RANGES)  # noqa: S101 - on import

Sql = tuple[str, list[Any]]


def where(asked: Filter) -> Sql:
    """A condition with its parameters; `true` for a filter that asks nothing."""
    told: list[str] = ["true"]
    parameters: list[Any] = []
    for condition in asked.conditions:
        text, more = _one(condition)
        told.append(f"({text})")
        parameters += more
    return " AND ".join(told), parameters


def _one(condition: Condition) -> Sql:
    value, path = "(p.metadata #> %s)", condition.key.split(".")
    match condition.word:
        case "exists":
            return f"{value} IS {'NOT NULL' if condition.wanted else 'NULL'}", [path]
        case "eq":
            return f"{value} = %s::jsonb", [path, json.dumps(condition.wanted)]
        case "ne":
            return f"{value} <> %s::jsonb", [path, json.dumps(condition.wanted)]
        case "in":
            members = [json.dumps(one) for one in condition.wanted]
            return f"{value} = ANY(%s::text[]::jsonb[])", [path, members]
    kind, cast = ("number", "::float8")
    if isinstance(condition.wanted, str):
        kind, cast = "string", ' COLLATE "C"'
    # Only CASE keeps the database from converting before it has looked at the kind.
    compared = f"(p.metadata #>> %s){cast} {_SIGNS[condition.word]} %s"
    judged = f"CASE WHEN jsonb_typeof({value}) = '{kind}' THEN {compared} ELSE false END"
    return judged, [path, path, condition.wanted]
