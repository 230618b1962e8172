"""JSON Schemas by name: what the API documents is what it checks.

A schema is written once, as data. The OpenAPI document lists it under ``components``, and
:func:`check` holds a request against it: strict about types, unknown members refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from ansf_platform.field_errors import FieldError

Schema = dict[str, Any]
SCHEMAS: dict[str, Schema] = {}
MAX_ERRORS = 50
MAX_SHOWN = 200  # characters of a message
LARGEST_ID = 2**63 - 1

# `$` of Python's regular expressions also matches before a last newline; `(?!\n)` says no.
SLUG = r"^[-a-zA-Z0-9_]+(?!\n)$"
# RFC 3339, the part of ISO 8601 that OpenAPI's `date-time` means.
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})",
)
_formats = FormatChecker(["uuid"])


def define(name: str, schema: Schema) -> str:
    """Put a schema under ``#/components/schemas/name``; answers the name."""
    SCHEMAS[name] = schema
    return name


def ref(name: str) -> Schema:
    """A reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(longest: int, *, shortest: int = 0, **more: Any) -> Schema:
    """A string of so many characters."""
    return {"type": "string", "minLength": shortest, "maxLength": longest, **more}


def slug(longest: int = 50) -> Schema:
    """Letters, digits, ``-`` and ``_``."""
    return text(longest, shortest=1, pattern=SLUG)


def integer(least: int = 0, most: int = LARGEST_ID, **more: Any) -> Schema:
    """A whole number between two bounds, both included."""
    return {"type": "integer", "minimum": least, "maximum": most, **more}


def number(least: float = 0.0, most: float = 1e9, **more: Any) -> Schema:
    """A number between two bounds, both included."""
    return {"type": "number", "minimum": least, "maximum": most, **more}


def boolean(**more: Any) -> Schema:
    """True or false."""
    return {"type": "boolean", **more}


def choice(*names: str, **more: Any) -> Schema:
    """One of these strings."""
    return {"type": "string", "enum": list(names), **more}


def moment(**more: Any) -> Schema:
    """An RFC 3339 date and time with its offset."""
    return {"type": "string", "format": "date-time", **more}


def uuid(**more: Any) -> Schema:
    """A UUID with its hyphens."""
    return {"type": "string", "format": "uuid", **more}


def array(items: Schema, most: int | None = None, **more: Any) -> Schema:
    """A list of such items."""
    return {"type": "array", "items": items, **({"maxItems": most} if most else {}), **more}


def anything(**more: Any) -> Schema:
    """Any object."""
    return {"type": "object", "additionalProperties": True, **more}


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    if "enum" in schema:
        schema = {**schema, "enum": [*schema["enum"], None]}
    if "type" in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def record(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with these members and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def page_of(name: str) -> str:
    """Define and name the page of a list of `name`."""
    return define(
        f"{name}Page",
        record(
            {
                "items": array(ref(name)),
                "next": nullable(
                    {"type": "string", "description": "Cursor of the next page; null at the end."}
                ),
            }
        ),
    )


@_formats.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or parse_moment(value) is not None


def parse_moment(value: str) -> datetime:
    """The moment in UTC. Raises ValueError for what is not RFC 3339 or not in the calendar."""
    if not _MOMENT.fullmatch(value):
        raise ValueError("is no RFC 3339 date and time such as 2030-01-31T12:00:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("lies outside the calendar") from error


@cache
def validator(name: str) -> Draft202012Validator:
    """The checker of a named schema."""
    return Draft202012Validator(
        {**ref(name), "components": {"schemas": SCHEMAS}}, format_checker=_formats
    )


def check(name: str, value: Any) -> list[FieldError]:
    """What of `value` is not as the named schema says, at most :data:`MAX_ERRORS`."""
    found = zip(validator(name).iter_errors(value), range(MAX_ERRORS), strict=False)
    return [
        FieldError(pointer(error.absolute_path), error.message[:MAX_SHOWN]) for error, _ in found
    ]


def check_value(schema: Schema, value: Any) -> str:
    """The first thing wrong with a single value ("": nothing)."""
    checker = Draft202012Validator(schema, format_checker=_formats)
    error = next(checker.iter_errors(value), None)
    return error.message[:MAX_SHOWN] if error else ""


def pointer(path: Iterable[Any]) -> str:
    """The JSON pointer (RFC 6901) of a path."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


PROBLEM = define(
    "Problem",
    {
        "type": "object",
        "description": "RFC 9457 problem details.",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": integer(400, 599),
            "detail": {"type": "string"},
            "instance": {"type": "string", "format": "uri-reference"},
            "request_id": {"type": "string"},
            "errors": array(
                record(
                    {
                        "field": {"type": "string", "description": "JSON pointer, or ?parameter."},
                        "message": {"type": "string"},
                    },
                    {"index": integer(description="Position of the item in a bulk.")},
                )
            ),
        },
        "required": ["type", "title", "status", "detail", "instance", "request_id"],
        "additionalProperties": True,
    },
)
