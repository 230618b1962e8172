"""The writer of check rows: every way in (admin, REST, YAML, commands) passes through here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.db import IntegrityError, transaction

from ansf_platform.accounts.audit import record as audit
from ansf_platform.accounts.models import Tenant
from coordination.errors import Refused
from healthchecks import recording
from healthchecks.defaults import is_default
from healthchecks.models import HealthCheck
from healthchecks.spec import CheckSpec, differences, spec_of, validate

MEASURES = frozenset({"kind", "target", "params"})  # a change of these measures something else


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a check; only a trusted one's platform-wide checks may look inside."""

    actor: str
    trusted: bool = False
    request_id: str = ""


COMMAND = Author("command", trusted=True)


def create(tenant: Tenant | None, spec: CheckSpec, author: Author) -> HealthCheck:
    """Write a new check (without a tenant: the platform's). Raises Invalid, Refused."""
    validate(spec, platform=tenant is None)
    try:
        with transaction.atomic():
            check = HealthCheck.objects.create(
                tenant=tenant, trusted=author.trusted and tenant is None, **asdict(spec)
            )
            _audit("create", check, author, **asdict(spec))
    except IntegrityError as error:
        raise Refused(f"there is a check named {spec.name} already", spec.name) from error
    return check


def update(
    check: HealthCheck, spec: CheckSpec, author: Author, *, revision: int | None = None
) -> HealthCheck:
    """Make a check what the spec says; nothing is written when nothing differs.

    Raises Invalid, and Refused when the name is taken, the check is gone, or it is no longer at
    `revision`.
    """
    validate(spec, platform=check.tenant_id is None)
    try:
        with transaction.atomic():
            row = _locked(check.pk, revision)
            changes = differences(spec_of(row), spec)
            trusted = author.trusted and row.tenant_id is None
            if changes or trusted != row.trusted:
                row.trusted = trusted
                _change(row, changes, author)
    except IntegrityError as error:
        raise Refused(f"there is a check named {spec.name} already", spec.name) from error
    return row


def _locked(pk: int, revision: int | None) -> HealthCheck:
    row = HealthCheck.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    if row is None:
        raise Refused("the check has been deleted meanwhile")
    if revision is not None and row.revision != revision:
        raise Refused(f"the check has been changed meanwhile: it is at revision {row.revision}")
    return row


def _change(row: HealthCheck, changes: dict[str, tuple[Any, Any]], author: Author) -> None:
    for name, (_, new) in changes.items():
        setattr(row, name, new)
    if "enabled" in changes:
        recording.forget(row, "enabled" if row.enabled else "disabled")
    elif changes.keys() & MEASURES:
        recording.forget(row, "edited: measures something else")
    row.revision += 1
    row.save()
    _audit("update", row, author, changes={name: list(pair) for name, pair in changes.items()})


def switch(check: HealthCheck, author: Author, *, enabled: bool) -> HealthCheck:
    """Enable or disable; the rest, the author's trust included, stays."""
    with transaction.atomic():
        row = _locked(check.pk, None)
        if row.enabled != enabled:
            _change(row, {"enabled": (row.enabled, enabled)}, author)
    return row


def delete(check: HealthCheck, author: Author, *, revision: int | None = None) -> None:
    """Delete a check with its history. Raises Refused for a default check: disable that."""
    with transaction.atomic():
        row = _locked(check.pk, revision)
        if is_default(row):
            raise Refused(f"{row.name} is a default check and would come back: disable it instead")
        _audit("delete", row, author, **asdict(spec_of(row)))
        row.delete()


def _audit(verb: str, check: HealthCheck, author: Author, **detail: Any) -> None:
    audit(
        f"health_check.{verb}",
        "health_check",
        check.pk,
        actor=author.actor,
        tenant=check.tenant,
        request_id=author.request_id,
        **({"name": check.name} | detail),
    )
