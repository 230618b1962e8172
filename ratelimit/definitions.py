"""The writer of policy rows: every way in (admin, REST, YAML, commands) passes through here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction

from ansf_platform.accounts.audit import record as audit
from ansf_platform.accounts.models import Tenant
from ratelimit import counting, policies
from ratelimit.errors import Refused
from ratelimit.models import Policy
from ratelimit.spec import PolicySpec, differences, spec_of, validate

MOST_OF_A_TENANT = 500  # each process reads all rows each second


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a policy, as the audit tells it."""

    actor: str
    request_id: str = ""


COMMAND = Author("command")


def create(tenant: Tenant | None, spec: PolicySpec, author: Author) -> Policy:
    """Write a new policy (without a tenant: the platform's). Raises Invalid, Refused."""
    validate(spec, platform=tenant is None)
    try:
        with transaction.atomic():
            _refuse_more(tenant)
            row = Policy.objects.create(tenant=tenant, **asdict(spec))
            _audit("create", row, author, **_plain(asdict(spec)))
    except IntegrityError as error:
        raise Refused(f"there is a policy named {spec.name} already: change that one") from error
    policies.forget()
    return row


def _refuse_more(tenant: Tenant | None) -> None:
    if Policy.objects.filter(tenant=tenant).count() >= MOST_OF_A_TENANT:
        raise Refused(f"there are {MOST_OF_A_TENANT} policies already: delete those not needed")
    if Policy.objects.count() >= policies.MOST_POLICIES:
        raise Refused(f"all tenants together have {policies.MOST_POLICIES} policies already")


def update(row: Policy, spec: PolicySpec, author: Author) -> Policy:
    """Make a policy what the spec says; nothing is written when nothing differs.

    Raises Invalid, and Refused when the name is taken or the policy is gone.
    """
    validate(spec, platform=row.tenant_id is None)
    try:
        with transaction.atomic():
            row = _locked(row.pk)
            identity = counting.policy_identity(str(row.tenant_id or ""), row.name)
            changes = differences(spec_of(row), spec)
            if changes:
                _change(row, changes, author)
    except IntegrityError as error:
        raise Refused(f"there is a policy named {spec.name} already: choose another") from error
    policies.forget()
    if "name" in changes:
        counting.forget(identity)
    return row


def _locked(pk: int) -> Policy:
    row = Policy.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    if row is None:
        raise Refused("the policy has been deleted meanwhile")
    return row


def _change(row: Policy, changes: dict[str, tuple[Any, Any]], author: Author) -> None:
    for name, (_, new) in changes.items():
        setattr(row, name, new)
    row.revision += 1
    row.save()
    told = {
        name: list(_plain({"before": old, "after": new}).values())
        for name, (old, new) in changes.items()
    }
    _audit("update", row, author, changes=told)


def switch(row: Policy, author: Author, *, enabled: bool) -> Policy:
    """Enable or disable; the rest stays."""
    with transaction.atomic():
        row = _locked(row.pk)
        if row.enabled != enabled:
            _change(row, {"enabled": (row.enabled, enabled)}, author)
    policies.forget()
    return row


def delete(row: Policy, author: Author) -> None:
    """Delete a policy: from then on its name limits nothing."""
    with transaction.atomic():
        row = _locked(row.pk)
        identity = counting.policy_identity(str(row.tenant_id or ""), row.name)
        _audit("delete", row, author, **_plain(asdict(spec_of(row))))
        row.delete()
    policies.forget()
    counting.forget(identity)


def _plain(columns: dict[str, Any]) -> dict[str, Any]:
    """Columns as JSON can hold them."""
    return {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in columns.items()
    }


def _audit(verb: str, row: Policy, author: Author, **detail: Any) -> None:
    audit(
        f"policy.{verb}",
        "policy",
        row.pk,
        actor=author.actor,
        tenant=row.tenant,
        request_id=author.request_id,
        **({"name": row.name} | detail),
    )
