"""Checks declared in YAML: read strictly, compared with the rows, applied in one transaction.

    checks:
      - {name: shop, kind: http, target: https://shop.example/health, interval: 30, fall: 2}
      - {name: cache-port, kind: tcp, target: "cache.example:6379", severity: critical}

A field that is left out stays as it is (a new check takes the default); a check that is left out
is left alone; an unknown field is refused, because a misspelt threshold is one that is off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from ansf_platform.accounts.models import Tenant
from coordination.declaration.markup import refusal
from coordination.errors import Invalid, ItemError
from healthchecks import definitions
from healthchecks.definitions import Author
from healthchecks.models import HealthCheck
from healthchecks.spec import CheckSpec, differences, spec_of, validate

MOST_CHECKS = 1000
ALIASES = {"interval": "interval_seconds", "timeout": "timeout_seconds"}
WRITTEN = {f"/{column}": f"/{key}" for key, column in ALIASES.items()}
KEYS = (
    *("name", "kind", "target", "interval", "timeout", "rise", "fall"),
    *("severity", "enabled", "params"),
)


Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """What applying a document does to one check; `changes` has both values of each column."""

    name: str
    action: str  # create, update or same
    changes: dict[str, tuple[Any, Any]]


def checks_from(document: object) -> list[Entry]:
    """The columns given under ``checks:`` of a document, or in a plain list; not judged yet.

    Raises Invalid with every mistake in the shape.
    """
    listed = document.get("checks") if isinstance(document, dict) else document
    if not isinstance(listed, list):
        raise refusal("", 'use a list of checks, or a mapping with "checks": a list')
    if len(listed) > MOST_CHECKS:
        raise refusal(
            "", f"{len(listed)} checks are too many: at most {MOST_CHECKS} in one document"
        )
    errors = [error for index, entry in enumerate(listed) for error in _shape(index, entry)]
    if errors:
        raise Invalid(errors)
    return [{ALIASES.get(key, key): value for key, value in entry.items()} for entry in listed]


def _shape(index: int, entry: object) -> Iterable[ItemError]:
    if not isinstance(entry, dict):
        yield ItemError(index, "", "use a mapping of a check's fields")
        return
    for key in entry:
        if key not in KEYS:
            yield ItemError(index, f"/{key}", f"is not known: a check has {', '.join(KEYS)}")
    if not isinstance(entry.get("name"), str):
        yield ItemError(index, "/name", "is missing or no text")


def apply_checks(
    tenant: Tenant | None, entries: Sequence[Entry], author: Author, *, dry_run: bool = False
) -> list[Difference]:
    """Create and update the named checks; what the document does not name stays.

    All or nothing, and applying twice changes nothing the second time. Raises Invalid with every
    mistake of every check, and Refused.
    """
    with transaction.atomic():
        names = [entry["name"] for entry in entries]
        rows = {row.name: row for row in HealthCheck.objects.filter(tenant=tenant, name__in=names)}
        specs = [_completed(rows.get(entry["name"]), entry) for entry in entries]
        _validate_all(specs, platform=tenant is None)
        plan = [_difference(rows.get(spec.name), spec) for spec in specs]
        if not dry_run:
            for spec, difference in zip(specs, plan, strict=True):
                _apply(tenant, rows.get(spec.name), spec, difference, author)
    return plan


def _completed(row: HealthCheck | None, entry: Entry) -> CheckSpec:
    """The whole spec; a kind that nobody gave is refused with the rest."""
    columns: Entry = {"kind": ""} | entry
    return CheckSpec(**columns) if row is None else replace(spec_of(row), **entry)


def _validate_all(specs: Sequence[CheckSpec], *, platform: bool) -> None:
    errors: list[ItemError] = []
    seen: set[object] = set()
    for index, spec in enumerate(specs):
        try:
            validate(spec, platform=platform)
        except Invalid as error:
            errors += [
                replace(each, index=index, field=WRITTEN.get(each.field, each.field))
                for each in error.errors
            ]
        else:
            if spec.name in seen:
                errors.append(ItemError(index, "/name", f"{spec.name} is there twice"))
            seen.add(spec.name)
    if errors:
        raise Invalid(errors)


def _difference(row: HealthCheck | None, spec: CheckSpec) -> Difference:
    if row is None:
        return Difference(spec.name, "create", {})
    changes = differences(spec_of(row), spec)
    return Difference(spec.name, "update" if changes else "same", changes)


def _apply(
    tenant: Tenant | None,
    row: HealthCheck | None,
    spec: CheckSpec,
    difference: Difference,
    author: Author,
) -> None:
    if row is None:
        definitions.create(tenant, spec, author)
    elif difference.changes:
        definitions.update(row, spec, author)


def as_document(rows: Iterable[HealthCheck]) -> dict[str, list[Mapping[str, Any]]]:
    """The document that `checks_from` reads back into the same checks."""
    return {"checks": [_entry(spec_of(row)) for row in rows]}


def _entry(spec: CheckSpec) -> dict[str, Any]:
    columns = {key: getattr(spec, ALIASES.get(key, key)) for key in KEYS}
    return {key: value for key, value in columns.items() if value not in ("", {})}
