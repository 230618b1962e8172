"""The writer of providers, models, policies and budgets: admin, REST and commands pass here.

Providers and models are the platform's: whoever sets an address and the name of a key decides
where secrets go, and whoever sets a price decides what a budget means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import ProtectedError

from ansf_platform.accounts.audit import record as audit
from ansf_platform.accounts.models import Tenant
from ansf_platform.field_errors import FieldError
from gateway import catalogue, spending
from gateway.models import Budget, Provider
from gateway.prices import Difference
from gateway.schemas import KINDS, MODELS, Kind
from ratelimit.definitions import Author
from ratelimit.errors import Invalid, Refused

MOST_OF_A_TENANT = 500  # each process reads all rows each second

RECOUNTED = frozenset({"scope", "subject", "period", "enabled"})
"""Columns of a budget after whose change its spending is counted again from the ledger."""


def kind_of(row: models.Model) -> Kind:
    """The kind of a row."""
    return next(kind for kind in KINDS if isinstance(row, kind.rows))


def columns_of(row: models.Model) -> dict[str, Any]:
    """The columns of a row as people write them: references by name."""
    return {name: _written(getattr(row, name)) for name in kind_of(row).columns}


def _written(value: Any) -> Any:
    return value.name if isinstance(value, Provider) else value


def create(
    kind: Kind, tenant: Tenant | None, columns: Mapping[str, Any], author: Author
) -> models.Model:
    """Write a new row (without a tenant: the platform's). Raises Invalid, Refused."""
    row = kind.rows(**({} if kind.rows is Provider else {"tenant": tenant}))
    _set(kind, row, _defaults(kind, row) | dict(columns))
    _refuse_taken(kind, row)
    try:
        with transaction.atomic():
            _refuse_more(kind, tenant)
            row.save(force_insert=True)
            _audit("create", row, author, columns_of(row))
    except IntegrityError as error:
        raise _taken(kind, row) from error
    catalogue.forget()
    return row


def _defaults(kind: Kind, row: models.Model) -> dict[str, Any]:
    """What a new row says where nothing is said."""
    return {name: getattr(row, name) for name in kind.columns if name not in kind.required}


def update(row: models.Model, columns: Mapping[str, Any], author: Author) -> models.Model:
    """Change columns; nothing is written when nothing differs. Raises Invalid, Refused."""
    kind = kind_of(row)
    try:
        with transaction.atomic():
            row = _locked(kind, row.pk)
            before = columns_of(row)
            _set(kind, row, before | dict(columns))
            after = columns_of(row)
            changes = {
                name: [before[name], after[name]] for name in after if before[name] != after[name]
            }
            if changes:
                _refuse_taken(kind, row)
                _save(row)
                if isinstance(row, Budget) and RECOUNTED & set(changes):
                    spending.recount(row)
                _audit("update", row, author, {"changes": changes})
    except IntegrityError as error:
        raise _taken(kind, row) from error
    catalogue.forget()
    return row


def _locked(kind: Kind, pk: Any) -> models.Model:
    row = kind.rows._default_manager.select_for_update(of=("self",)).filter(pk=pk).first()  # noqa: SLF001 - Django's name for it
    if row is None:
        raise Refused(f"the {kind.name} has been deleted meanwhile")
    return row


def _save(row: Any) -> None:
    row.revision += 1
    row.save()


def _set(kind: Kind, row: models.Model, columns: Mapping[str, Any]) -> None:
    """Put checked columns into a row. Raises Invalid with everything that is wrong."""
    errors = kind.validate(columns)
    if errors:
        raise Invalid(errors)
    for name, value in columns.items():
        setattr(row, name, _provider(value) if (kind, name) == (MODELS, "provider") else value)


def _provider(name: str) -> Provider:
    found = Provider.objects.filter(name=name).first()
    if found is None:
        raise Invalid([FieldError("/provider", f"there is no provider '{name}': create it first")])
    return found


def _refuse_taken(kind: Kind, row: Any) -> None:
    if is_taken(kind, getattr(row, "tenant", None), row.name, row.pk):
        raise _taken(kind, row)


def is_taken(kind: Kind, tenant: Tenant | None, name: str, but: int | None = None) -> bool:
    """Whether another row has the name. SQL takes two absent tenants for different ones."""
    rows = _rows_of(kind, tenant).filter(name=name).exclude(pk=but)
    return bool(rows.exists())


def _rows_of(kind: Kind, tenant: Tenant | None) -> Any:
    rows = kind.rows._default_manager.all()  # noqa: SLF001 - Django's name for it
    return rows if kind.rows is Provider else rows.filter(tenant=tenant)


def _taken(kind: Kind, row: models.Model) -> Refused:
    return Refused(f"there is a {kind.name} named {row} already: change that one")


def _refuse_more(kind: Kind, tenant: Tenant | None) -> None:
    if _rows_of(kind, tenant).count() >= MOST_OF_A_TENANT:
        raise Refused(f"there are {MOST_OF_A_TENANT} of them already: delete those not needed")


def delete(row: models.Model, author: Author) -> None:
    """Delete a row. Raises Refused while something needs it."""
    try:
        with transaction.atomic():
            row = _locked(kind_of(row), row.pk)
            _audit("delete", row, author, columns_of(row))
            row.delete()
    except ProtectedError as error:
        names = ", ".join(sorted(map(str, error.protected_objects))[:5])
        raise Refused(f"models use it: {names}; delete those, or disable it") from error
    catalogue.forget()


def reprice(found: Iterable[Difference], author: Author) -> int:
    """Write what a price table says; all of it or nothing. Answers how many models changed."""
    count = 0
    with transaction.atomic():
        for difference in found:
            update(
                difference.row, {name: new for name, (_, new) in difference.changes.items()}, author
            )
            count += 1
    return count


def _audit(verb: str, row: Any, author: Author, detail: Mapping[str, Any]) -> None:
    kind = kind_of(row)
    audit(
        f"gateway.{kind.name}.{verb}",
        f"gateway.{kind.name}",
        row.pk,
        actor=author.actor,
        tenant=getattr(row, "tenant", None),
        request_id=author.request_id,
        **({"name": row.name} | dict(detail)),
    )
