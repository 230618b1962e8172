"""The ``limits`` section: a tenant's own policies, judged and written as everywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from ansf_platform.accounts.models import Tenant
from coordination.declaration.spec import Item
from coordination.errors import Invalid, ItemError
from ratelimit import definitions
from ratelimit import errors as refusals
from ratelimit.definitions import Author
from ratelimit.models import Policy
from ratelimit.spec import (
    COLUMNS,
    NAME,
    PolicySpec,
    differences,
    spec_from,
    spec_of,
    usual_on_deny,
    usual_period,
)

NAMES = NAME
KEYS: Mapping[str, str] = {
    {"period_seconds": "period"}.get(column, column): column
    for column in COLUMNS
    if column != "name"
}
WRITTEN = {f"/{column}": f"/{key}" for key, column in KEYS.items()}

Both = tuple[dict[str, Any], dict[str, Any]]


def write(tenant: Tenant, declared: Item, actor: str) -> tuple[bool, Both] | None:
    """Make a policy what was declared: whether it is new, and the columns before and after.

    None when it is so already. The audit entry is written with it. Raises Invalid.
    """
    row = Policy.objects.filter(tenant=tenant, name=declared.name).first()
    given = spec_from({"name": declared.name, **declared.columns})
    columns = {name: getattr(given, name) for name in declared.columns}
    before = spec_of(row) if row else None
    after = given if before is None else replace(before, **columns)
    try:
        if row is None:
            definitions.create(tenant, after, Author(actor))
            return True, ({}, _plain({name: (None, value) for name, value in columns.items()})[1])
        definitions.update(row, after, Author(actor))
    except refusals.Invalid as error:
        path = f"/limits/{declared.name}"
        raise Invalid(
            ItemError(None, path + WRITTEN.get(one.field, one.field), one.message)
            for one in error.errors
        ) from error
    except refusals.Refused as error:
        raise Invalid([ItemError(None, f"/limits/{declared.name}", error.detail)]) from error
    changes = differences(before or after, after)
    return (False, _plain(changes)) if changes else None


def _plain(changes: Mapping[str, tuple[Any, Any]]) -> Both:
    return (
        {name: _number(old) for name, (old, _) in changes.items()},
        {name: _number(new) for name, (_, new) in changes.items()},
    )


def _number(value: Any) -> Any:
    """A column as YAML and JSON hold it."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == int(value) else float(value)


def exported(tenant: Tenant) -> dict[str, dict[str, Any]]:
    """The tenant's policies without what has its default value."""
    rows = Policy.objects.filter(tenant=tenant).order_by("name")
    return {row.name: _given(spec_of(row)) for row in rows}


def _given(spec: PolicySpec) -> dict[str, Any]:
    fresh = PolicySpec(
        name=spec.name,
        limit=0,
        on_deny=usual_on_deny(spec.applies_to),
        period_seconds=usual_period(spec.unit),
    )
    pairs = {key: getattr(spec, column) for key, column in KEYS.items()}
    return {
        key: _number(value) for key, value in pairs.items() if value != getattr(fresh, KEYS[key])
    }
