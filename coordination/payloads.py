"""Payloads checked against their definition's JSON Schema (draft 2020-12)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from coordination.errors import ItemError
from coordination.models import TaskDefinition

MAX_ERRORS = 10  # per item: enough to mend it, bounded for a bulk of 10 000
MAX_SHOWN = 200  # characters of a message

MOST_VALIDATORS = 10_000

_validators: dict[tuple[int, datetime], Draft202012Validator | None] = {}


def check(definition: TaskDefinition, payload: Any, index: int | None) -> list[ItemError]:
    """What is wrong with a payload, by JSON pointer; empty when it may be submitted."""
    if not isinstance(payload, dict):
        return [ItemError(index, "/payload", "must be an object: its members become arguments")]
    validator = _validator(definition)
    if validator is None:
        return []
    return [
        ItemError(index, _pointer(error.absolute_path), error.message[:MAX_SHOWN])
        for error, _ in zip(validator.iter_errors(payload), range(MAX_ERRORS), strict=False)
    ]


def _validator(definition: TaskDefinition) -> Draft202012Validator | None:
    # Versions never change, so the cache needs no expiry. An id alone is not enough: one that
    # was rolled back is given again.
    key = (definition.pk, definition.created_at)
    if key not in _validators:
        if len(_validators) >= MOST_VALIDATORS:
            _validators.clear()
        schema = definition.schema
        _validators[key] = Draft202012Validator(schema) if schema else None
    return _validators[key]


def _pointer(path: Iterable[Any]) -> str:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "/" + "/".join(["payload", *steps])


def check_schema(schema: Any) -> str:
    """Why this is no usable JSON Schema ("" when it is one)."""
    if not isinstance(schema, dict):
        return "must be an object"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return error.message[:MAX_SHOWN]
    foreign = next(_foreign_references(schema), None)
    return f"$ref {foreign!r} leaves the schema: only '#…' is followed" if foreign else ""


def _foreign_references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"$ref", "$dynamicRef"} and isinstance(value, str):
                if not value.startswith("#"):
                    yield value
            else:
                yield from _foreign_references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _foreign_references(value)
