"""Configuration rows over REST: found by name, changed by what a body names, removed if unused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from rest_framework.request import Request

from ansf_platform.field_errors import FieldError
from ansf_platform.problems import ProblemError, invalid
from coordination.errors import NotFound

Row = TypeVar("Row", bound=Model)


def found(rows: QuerySet[Row], what: str, request: Request, **lookup: Any) -> Row:
    """The row, locked when the request changes it. Raises :class:`NotFound`."""
    if request.method not in {"GET", "HEAD"}:
        rows = rows.select_for_update(of=("self",))
    row = rows.filter(**lookup).first()
    if row is None:
        named = ", ".join(str(value) for value in lookup.values())[:100]
        raise NotFound(f"there is no {what} {named!r}")
    return row


def save(row: Model, values: Mapping[str, Any]) -> dict[str, Any]:
    """Set columns, check the row, store it under a new revision; what changed, for the audit.

    Raises :class:`ProblemError` 422 that names each wrong field, and 409 for a taken name.
    """
    created = row.pk is None
    changed = {
        name: value for name, value in values.items() if created or getattr(row, name) != value
    }
    if not changed and not created:
        return {}
    for name, value in changed.items():
        setattr(row, name, value)
    _check(row)
    if not created:
        row.revision += 1  # type: ignore[attr-defined]
    row.save()
    return {name: plain(value) for name, value in changed.items()}


def _check(row: Model) -> None:
    try:
        row.full_clean(validate_unique=False, validate_constraints=False)
        row.validate_constraints()
    except ValidationError as error:
        raise _refused(error) from error


def _refused(error: ValidationError) -> ProblemError:
    codes = {one.code for errors in error.error_dict.values() for one in errors}
    messages = error.message_dict
    errors = [
        FieldError("" if name == "__all__" else f"/{name}", text)
        for name, texts in messages.items()
        for text in texts
    ]
    if codes <= {"unique", "unique_together"}:
        return ProblemError(409, "the name is taken: choose another or change that one")
    return invalid(errors)


def plain(value: Any) -> Any:
    """A column's value as JSON: a row is told by its name."""
    return str(value) if isinstance(value, Model) else value
